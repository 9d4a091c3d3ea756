package registryauth

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// registryState is what the registry would be asked for by the gateway when
// a decision depends on it.
type registryState struct {
	// exists says whether the tag exists; nil is not known.
	exists *bool
	// tags are those that point at the digest, or that a push by digest
	// sets; nil is not known.
	tags []string
}

// apply checks that the state is about what is asked for and tells it.
func (s registryState) apply(q *authz.Query) error {
	switch {
	case s.exists != nil && q.Tag == "" && len(s.tags) == 0:
		return errors.New("whether the tag exists was said, but no tag is asked for")
	case s.tags != nil && q.Digest == "":
		return errors.New("the tags of a digest were said, but no digest is asked for")
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
	exists, absent bool
	tags           []string
}

func (f *stateFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.exists, "tag-exists", false, "The registry has the tag already")
	cmd.Flags().BoolVar(&f.absent, "tag-absent", false, "The registry does not have the tag yet")
	cmd.Flags().StringSliceVar(&f.tags, "tags", nil, "Tags that point at the digest (--tags= is none), or that a push by digest sets")
}

func (f *stateFlags) state(cmd *cobra.Command) (registryState, error) {
	var s registryState
	switch {
	case f.exists && f.absent:
		return s, errors.New("--tag-exists and --tag-absent contradict each other")
	case f.exists || f.absent:
		s.exists = &f.exists
	}
	if cmd.Flags().Changed("tags") {
		s.tags = append([]string{}, f.tags...)
	}
	return s, nil
}
