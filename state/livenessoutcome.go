package state

// LivenessOutcome is what becomes of a question about a user.
type LivenessOutcome string

// The outcomes.
const (
	// LivenessOK: the user is there. LivenessUndescribed: so it is, but who it
	// is cannot be told, and groups and roles stay as they were.
	LivenessOK          LivenessOutcome = "ok"
	LivenessUndescribed LivenessOutcome = "undescribed"
	// LivenessGone: the provider does not let the user go on.
	LivenessGone LivenessOutcome = "gone"
	// LivenessProviderDown: it is away, slow, or refuses our client.
	LivenessProviderDown LivenessOutcome = "provider_down"
	// LivenessUnreadable: the refresh token cannot be opened, as after the
	// key was lost. LivenessUnsaved: the store did not take what was said.
	LivenessUnreadable LivenessOutcome = "unreadable"
	LivenessUnsaved    LivenessOutcome = "unsaved"
	// LivenessRested: nobody has vouched for the user for too long, and what
	// it has rests.
	LivenessRested LivenessOutcome = "rested"
)

// LivenessOutcomes are all of them.
var LivenessOutcomes = []LivenessOutcome{
	LivenessOK, LivenessUndescribed, LivenessGone, LivenessProviderDown, LivenessUnreadable, LivenessUnsaved, LivenessRested,
}
