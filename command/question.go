package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// principalFlags say who asks.
type principalFlags struct {
	user, as      string
	anonymous     bool
	groups, roles []string
	claims        string
}

func (f *principalFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.user, "user", "u", "", "Name of the user who asks")
	cmd.Flags().StringVar(&f.as, "as", "", "Who asks: user:alice, robot:ci, workload:github or anonymous")
	cmd.Flags().BoolVar(&f.anonymous, "anonymous", false, "Nobody has signed in")
	cmd.Flags().StringSliceVarP(&f.groups, "groups", "g", nil, "Groups of the one who asks, separated by commas")
	cmd.Flags().StringSliceVar(&f.roles, "roles", nil, "Roles that the token gives")
	cmd.Flags().StringVar(&f.claims, "claims", "", "JSON file with the claims of the token")
}

// principal returns who asks.
func (f *principalFlags) principal() (*authn.Principal, error) {
	var who []string
	for _, w := range []string{f.as, prefixed("user:", f.user)} {
		if w != "" {
			who = append(who, w)
		}
	}
	if f.anonymous {
		who = append(who, string(authn.KindAnonymous))
	}
	switch len(who) {
	case 0:
		return nil, errors.New("who asks is missing: say --user alice, --as robot:ci, --as workload:github or --anonymous")
	case 1:
	default:
		return nil, fmt.Errorf("only one can ask, not %s", strings.Join(who, " and "))
	}
	var claims map[string]any
	if f.claims != "" {
		data, err := os.ReadFile(f.claims)
		if err != nil {
			return nil, fmt.Errorf("claims: %w", err)
		}
		if claims, err = parseClaims(data); err != nil {
			return nil, fmt.Errorf("claims: %s: %w", f.claims, err)
		}
	}
	return newPrincipal(who[0], f.groups, f.roles, claims)
}

func prefixed(prefix, name string) string {
	if name == "" {
		return ""
	}
	return prefix + name
}

// parseClaims reads claims as a token has them: one JSON object.
func parseClaims(data []byte) (map[string]any, error) {
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&claims); err != nil {
		return nil, fmt.Errorf("want a JSON object: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one JSON object, there is more")
	}
	return claims, nil
}

// newPrincipal returns the principal that is called as rules call subjects.
func newPrincipal(who string, groups, roles []string, claims map[string]any) (*authn.Principal, error) {
	if who == string(authn.KindAnonymous) {
		if len(groups) > 0 || len(roles) > 0 || len(claims) > 0 {
			return nil, errors.New("somebody anonymous has no groups, roles or claims")
		}
		return authn.Anonymous, nil
	}
	kind, name, _ := strings.Cut(who, ":")
	p := &authn.Principal{Kind: authn.Kind(kind), Name: name, Groups: groups, Roles: roles, Claims: claims}
	switch p.Kind {
	case authn.KindUser, authn.KindWorkload:
		if strings.ContainsAny(name, ": \t\n") {
			return nil, fmt.Errorf("%s name %q: names have no colon and no space", kind, name)
		}
	case authn.KindRobot:
		if err := authn.CheckRobotName(name); name != "" && err != nil {
			return nil, err
		}
	case authn.KindAnonymous:
		return nil, errors.New("somebody anonymous has no name")
	default:
		return nil, unknownWord("principal", kind, []string{"user", "robot", "workload", "anonymous"})
	}
	if name == "" {
		return nil, fmt.Errorf("the name is missing: want for example %s:alice", kind)
	}
	p.Subject, _ = claims["sub"].(string)
	p.Issuer, _ = claims["iss"].(string)
	return p, nil
}

// parseQuery reads what is asked for, as in "push team-a/app:v1".
func parseQuery(args []string) (*authz.Query, error) {
	if len(args) != 2 {
		return nil, errors.New("want an action and a repository, for example: pull team-a/app:v1")
	}
	q := new(authz.Query)
	for word := range strings.SplitSeq(args[0], ",") {
		action, err := authz.ParseAction(word)
		if err != nil {
			return nil, unknownWord("action", word, authz.AllActions.Names())
		}
		q.Action |= action
	}
	if err := parseTarget(args[1], q); err != nil {
		return nil, err
	}
	if q.Type == authz.TypeRegistry && q.Action != authz.List {
		return nil, fmt.Errorf("%s can only be listed: ask for list %[1]s", catalogTarget)
	}
	q.Method = method(q)
	return q, nil
}

// method is the HTTP method with which clients do it, for conditions that
// look at it; "" if it is not one request.
func method(q *authz.Query) string {
	switch q.Action {
	case authz.Pull, authz.List:
		return http.MethodGet
	case authz.Push, authz.Overwrite:
		if q.Tag == "" && q.Digest == "" {
			return http.MethodPost // an upload begins
		}
		return http.MethodPut
	case authz.Delete:
		return http.MethodDelete
	}
	return ""
}

// catalogTarget is how the commands call the list of all repositories: as the
// registry API does. No repository's name begins so.
const catalogTarget = "_catalog"

// parseTarget reads "repository", "repository:tag", "repository@digest" or
// "_catalog".
func parseTarget(text string, q *authz.Query) error {
	if text == catalogTarget {
		q.Type, q.Repository = authz.TypeRegistry, authz.CatalogName
		return nil
	}
	name, digest, byDigest := strings.Cut(text, "@")
	tagged := false
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, q.Tag, tagged = name[:i], name[i+1:], true
	}
	q.Repository, q.Digest = name, digest
	switch {
	case tagged && byDigest:
		return fmt.Errorf("%q has a tag and a digest: a request goes by one of the two", text)
	case strings.Contains(name, "://") || strings.Contains(name, ":"):
		return fmt.Errorf("bad repository name %q: leave the registry's host and scheme out", name)
	case name != strings.ToLower(name):
		return fmt.Errorf("bad repository name %q: it has upper-case letters", name)
	case !authz.ValidName(name):
		return fmt.Errorf("bad repository name %q: want lower-case letters and digits, separated by single . _ - and /", name)
	case tagged && !authz.ValidTag(q.Tag):
		return fmt.Errorf("bad tag %q: want letters, digits and . _ -, at most 128", q.Tag)
	case byDigest && !authz.ValidDigest(digest):
		return fmt.Errorf("bad digest %q: want for example sha256: and 64 hexadecimal digits", digest)
	}
	return nil
}

// targetText is what parseTarget reads.
func targetText(q *authz.Query) string {
	switch {
	case q.Type == authz.TypeRegistry:
		return catalogTarget
	case q.Tag != "":
		return q.Repository + ":" + q.Tag
	case q.Digest != "":
		return q.Repository + "@" + q.Digest
	}
	return q.Repository
}

// hostNote warns of a repository that begins with what looks like a host: it
// may be a name that a client was given, which has the registry in front.
func hostNote(q *authz.Query) string {
	first, rest, ok := strings.Cut(q.Repository, "/")
	if !ok || first != "localhost" && !strings.Contains(first, ".") {
		return ""
	}
	return fmt.Sprintf("%s is taken as part of the repository's name: if it is the registry's host, ask for %s", first, rest)
}

// registryState is what the gateway finds out when a decision depends on it:
// from the registry, and from what it keeps at run time.
type registryState struct {
	// exists says whether the tag exists; nil is not known.
	exists *bool
	// tags are those that point at the digest, or that a push by digest
	// sets; nil is not known.
	tags []string
	// owner is who owns the repository and its namespace, as rules call
	// subjects; empty is not known. Created: by pushing to it first.
	owner   string
	created bool
	// signed says whether the manifest has a signature that is asked for.
	signed *bool
}

// apply checks that the state is about what is asked for and tells it.
func (s registryState) apply(q *authz.Query) error {
	switch {
	case s.exists != nil && q.Tag == "" && len(s.tags) == 0:
		return errors.New("whether the tag exists was said, but no tag is asked for")
	case s.tags != nil && q.Digest == "":
		return errors.New("the tags of a digest were said, but no digest is asked for")
	}
	if s.created && s.owner == "" {
		return errors.New("that the owner created the repository was said, but not who that is")
	}
	if _, err := ownership(s.owner, s.created); err != nil {
		return err
	}
	for _, tag := range s.tags {
		if !authz.ValidTag(tag) {
			return errors.New("bad tag " + tag + " among the tags of the digest")
		}
	}
	q.Tags = s.tags
	q.Absent = s.exists != nil && !*s.exists
	return nil
}

// question says on what a decision depends that the state leaves open, and
// "" if it is final.
func (s registryState) question(d *authz.Decision, q *authz.Query) string {
	switch {
	case d.Ask == authz.AskAbsent && s.exists == nil:
		tags := q.Tags
		if q.Tag != "" {
			tags = []string{q.Tag}
		}
		return "whether the registry has the tag " + strings.Join(tags, " or ") + " already"
	case d.Ask == authz.AskTags && s.tags == nil:
		return "which tags point at the digest"
	}
	return ""
}

// stateFlags are the state on the command line.
type stateFlags struct {
	exists, absent   bool
	tags             []string
	owner            string
	created          bool
	signed, unsigned bool
}

func (f *stateFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.exists, "tag-exists", false, "The registry has the tag already")
	cmd.Flags().BoolVar(&f.absent, "tag-absent", false, "The registry does not have the tag yet")
	cmd.Flags().StringSliceVar(&f.tags, "tags", nil, "Tags that point at the digest (--tags= is none), or that a push by digest sets")
	cmd.Flags().StringVar(&f.owner, "owner", "", "Who owns the repository: user:alice, or none")
	cmd.Flags().BoolVar(&f.created, "created", false, "The owner has created the repository")
	cmd.Flags().BoolVar(&f.signed, "signed", false, "The manifest has a signature of the keys configured for it")
	cmd.Flags().BoolVar(&f.unsigned, "unsigned", false, "The manifest has no such signature")
}

func (f *stateFlags) state(cmd *cobra.Command) (registryState, error) {
	var s registryState
	switch {
	case f.exists && f.absent:
		return s, errors.New("--tag-exists and --tag-absent contradict each other")
	case f.exists || f.absent:
		s.exists = &f.exists
	}
	switch {
	case f.signed && f.unsigned:
		return s, errors.New("--signed and --unsigned contradict each other")
	case f.signed || f.unsigned:
		s.signed = &f.signed
	}
	s.owner, s.created = f.owner, f.created
	if cmd.Flags().Changed("tags") {
		s.tags = append([]string{}, f.tags...)
	}
	return s, nil
}
