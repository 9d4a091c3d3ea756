package authn

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// actAs sets who a workload is: itself, or the robot that as names.
func (m *mapping) actAs(as string) error {
	m.kind, m.as = KindWorkload, m.name
	if as == "" {
		return nil
	}
	name, ok := strings.CutPrefix(as, "robot:")
	if !ok {
		return fmt.Errorf("%.128q: want robot:NAME", as)
	}
	if err := CheckRobotName(name); err != nil {
		return err
	}
	m.kind, m.as = KindRobot, name
	return nil
}

// termsSize is how much of a hash tells two settings apart, in bytes. It is in
// every registry token of a workload, and nobody gains by a collision: who
// could make one writes the configuration.
const termsSize = 12

// terms is a short text that differs when anything differs that a token must
// meet, or that it is taken for.
func (m WorkloadMapping) terms(issuer string) string {
	text, err := json.Marshal(struct {
		Issuer  string
		Mapping WorkloadMapping
	}{issuer, m})
	if err != nil {
		return "" // strings and numbers: there is no such error
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:termsSize])
}
