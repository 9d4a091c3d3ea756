package registryauth

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

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
