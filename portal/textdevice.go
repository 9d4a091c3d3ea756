package portal

// Logging devices in.
const (
	txtDevice         = "Log in a device"
	txtDeviceLead     = "Enter the code that the program shows."
	txtDeviceCode     = "Code"
	txtDeviceContinue = "Continue"
	txtDeviceTitle    = "Allow this login?"
	txtDeviceAsk      = "A program wants to access the registry as %s. Allow it only if you have just started it yourself and it shows the same code."
	txtDeviceWho      = "Request"
	txtDeviceHost     = "Registry"
	txtDeviceMachine  = "Machine (reported by the program)"
	txtDeviceProgram  = "Program (reported)"
	txtDeviceRights   = "Permissions"
	txtDeviceAll      = "everything you can do"
	txtDeviceSince    = "Requested"
	txtDeviceHere     = "the address of this browser"
	txtDeviceWarn     = "If someone sent you this link or code, deny it: they would get your access."
	txtDeviceApprove  = "Allow"
	txtDeviceRefuse   = "Deny"

	txtDeviceElsewhere = "not the address of this browser, which is %s: deny it unless you know that machine"

	txtDeviceOther = "the program asked another host, %s: deny it unless you know that name"

	txtDeviceApproved = "Done. The device is logged in; you can close this page."
	txtDeviceRefused  = "Denied. The device did not get access."
	txtDeviceToken    = "%s, %s"
	txtUnknownClient  = "unknown"

	txtCodeUnknownTitle = "Unknown code"
	txtCodeUnknown      = "The code is wrong, was used already or is too old. Start the login on the device again."
	txtCodesManyTitle   = "Too many wrong codes"
	txtCodesMany        = "Wait ten minutes, then start the login on the device again."

	txtDeviceMany    = "Too many logins are waiting. Try again in a minute."
	txtDeviceOver    = "The code has expired. Start again."
	txtDeviceWaiting = "The login has not been approved yet."
	txtDeviceDenied  = "The login was denied in the browser."

	txtLogins         = "Docker logins"
	txtLoginsNote     = "What docker and other clients keep instead of your password."
	txtLoginsCaption  = "Clients that are logged in as you"
	txtLoginClient    = "Client"
	txtLoginSince     = "Logged in"
	txtLoginOnly      = "only for %s"
	txtUserLogins     = "Clients that are logged in as the user"
	txtNoLogins       = "No client is logged in as you."
	txtLoginEnd       = "Log out"
	txtLoginEndLabel  = "Log out %s at %s"
	txtLoginEndAll    = "Log out all of them"
	txtLoginEndAsk    = "The client has to log in again."
	txtLoginEndAllAsk = "All of these clients have to log in again."
)

// Confirming what creates a credential.
const (
	txtConfirmTitle    = "Confirm that it is you"
	txtConfirmLead     = "To create a credential, sign in again at %s. You come back here afterwards; what you entered is kept."
	txtConfirmContinue = "Continue to %s"
	txtConfirmNote     = "Check what will be created. If you did not ask for it, cancel and tell the registry's administrators."

	txtConfirmStaleTitle = "Nothing was created"
	txtConfirmStale      = "This confirmation took too long, was used already, or belongs to another session. Open the page again and repeat what you did."
	txtConfirmOtherTitle = "Nothing was created"
	txtConfirmOther      = "You signed in again as another user. Sign out here first if you want to work as that user."
	txtConfirmOldTitle   = "Nothing was created"
	txtConfirmOld        = "The identity provider did not confirm that you have just signed in. Try again; if it happens again, tell the registry's administrators. Administrators: see reauthenticate in the documentation of the portal."
	txtConfirmNoProvider = "Credentials are created after signing in again, and nobody can sign in with your identity provider any more."

	txtTokenAsk       = "Create this access token?" //nolint:gosec // words for people, no credential
	txtRobotAsk       = "Create this robot?"
	txtRotateQuestion = "Make a new secret for this robot?"
)
