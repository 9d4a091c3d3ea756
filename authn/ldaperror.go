package authn

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/go-ldap/ldap/v3"
)

// errNoEntry says that a directory does not know somebody.
var errNoEntry = fmt.Errorf("%w: not in the directory", ErrNotMine)

// activeDirectoryCode is in the diagnostic message of a refused bind.
var activeDirectoryCode = regexp.MustCompile(`\bdata ([0-9a-fA-F]+)\b`)

// judgeBind says what the answer to somebody's bind means. The diagnostic
// message is not repeated, except for codes: some servers write the name.
func judgeBind(result *ldap.SimpleBindResult, err error) error {
	var answer *ldap.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &answer) || answer.ResultCode >= ldap.ErrorNetwork:
		return directoryAway(err)
	}
	switch answer.ResultCode {
	case ldap.LDAPResultInvalidCredentials:
		if reason := passwordPolicy(result); reason != nil {
			return reason
		}
		return activeDirectory(answer)
	case ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax:
		return errNoEntry
	case ldap.LDAPResultInappropriateAuthentication:
		return fmt.Errorf("%w: the entry has no password", ErrInvalid)
	case ldap.LDAPResultConstraintViolation, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultInsufficientAccessRights:
		return fmt.Errorf("%w: the directory refuses the account: %s", ErrDisabled, ldap.LDAPResultCodeMap[answer.ResultCode])
	}
	return directoryAway(err)
}

// passwordPolicy reads the control of draft-behera-ldap-password-policy.
func passwordPolicy(result *ldap.SimpleBindResult) error {
	if result == nil {
		return nil
	}
	policy, ok := ldap.FindControl(result.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	if !ok {
		return nil
	}
	switch policy.Error {
	case ldap.BeheraPasswordExpired, ldap.BeheraChangeAfterReset:
		return fmt.Errorf("%w: %s", ErrExpired, policy.ErrorString)
	case ldap.BeheraAccountLocked:
		return fmt.Errorf("%w: %s", ErrDisabled, policy.ErrorString)
	}
	return nil
}

// activeDirectory reads the code that Active Directory writes into the message
// of a refused bind (the Win32 error, in hexadecimal digits).
func activeDirectory(answer *ldap.Error) error {
	code := ""
	if answer.Err != nil {
		if found := activeDirectoryCode.FindStringSubmatch(answer.Err.Error()); found != nil {
			code = found[1]
		}
	}
	switch code {
	case "525":
		return errNoEntry
	case "530", "531":
		return fmt.Errorf("%w: the directory does not let the account sign in now or from here (%s)", ErrDisabled, code)
	case "532", "773":
		return fmt.Errorf("%w: the password has expired or must be changed (%s)", ErrExpired, code)
	case "533":
		return fmt.Errorf("%w: the account is disabled (%s)", ErrDisabled, code)
	case "701":
		return fmt.Errorf("%w: the account has expired (%s)", ErrDisabled, code)
	case "775":
		return fmt.Errorf("%w: the account is locked (%s)", ErrDisabled, code)
	}
	return fmt.Errorf("%w: the directory refuses the password", ErrInvalid)
}

// errBroken says that a connection is of no use any more.
var errBroken = errors.New("connection to the directory broke")

// directoryAway wraps what is not the fault of who signs in.
func directoryAway(err error) error {
	var answer *ldap.Error
	if !errors.As(err, &answer) || answer.ResultCode >= ldap.ErrorNetwork {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, errBroken, shortened(err))
	}
	return fmt.Errorf("%w: directory: %w", ErrUnavailable, shortened(err))
}
