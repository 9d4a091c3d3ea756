package signature

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// failing is a registry that gives no answer to some questions.
type failing struct {
	*registry
	blob, manifest, referrers error
	at                        string // only this manifest fails
}

func (f *failing) Blob(ctx context.Context, repository, digest string, limit int) ([]byte, error) {
	if f.blob != nil {
		return nil, f.blob
	}
	return f.registry.Blob(ctx, repository, digest, limit)
}

func (f *failing) Manifest(ctx context.Context, repository, reference string) ([]byte, string, int, error) {
	if f.manifest != nil && reference == f.at {
		return nil, "", 0, f.manifest
	}
	return f.registry.Manifest(ctx, repository, reference)
}

func (f *failing) Referrers(ctx context.Context, repository, digest string) ([]Descriptor, error) {
	if f.referrers != nil {
		return nil, f.referrers
	}
	return f.registry.Referrers(ctx, repository, digest)
}

// TestNoAnswerOfAPartIsNoVerdict: whichever question is not answered.
func TestNoAnswerOfAPartIsNoVerdict(t *testing.T) {
	away := errors.New("away")
	key, r := newEd25519(t), newRegistry()
	referrer := manifestOf(r.layer(typeBundle, bundleFor(t, key, image, signPredicate), nil))
	digest := Digest([]byte(referrer))
	r.manifests[digest] = referrer
	r.referrers = []Descriptor{{Digest: digest, ArtifactType: typeBundle}}
	for name, f := range map[string]*failing{
		"blob":      {registry: r, blob: away},
		"referrers": {registry: r, referrers: away},
		"tag":       {registry: r, manifest: away, at: sigTag},
		"referrer":  {registry: r, manifest: away, at: digest},
	} {
		if _, err := verifierOf(t, key).Verify(t.Context(), f, "team/app", image, ""); !errors.Is(err, away) || errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
	accessory := manifestOf(r.layer(typeSimple, payloadFor(image), nil))
	if yes, err := Accessory(t.Context(), &failing{registry: r, blob: away}, "team/app", []byte(accessory), typeManifest); yes || !errors.Is(err, away) {
		t.Errorf("accessory: %v, %v", yes, err)
	}
}

func TestDigestHasOneSpelling(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 4)
	if !ValidDigest("sha256:"+digits) || !ReferrersTag("sha256-"+digits) {
		t.Error("a good one is refused")
	}
	for _, wrong := range []string{
		"", digits[:62], digits + "00", strings.ToUpper(digits), "/" + digits[1:], ":" + digits[1:], "`" + digits[1:], "g" + digits[1:], "é" + digits[2:],
	} {
		if ValidDigest("sha256:"+wrong) || ReferrersTag("sha256-"+wrong) {
			t.Errorf("%q is taken for a digest", wrong)
		}
	}
	if ValidDigest(digits) || ValidDigest("sha512:"+digits) || ReferrersTag(digits) || ReferrersTag("sha256:"+digits) {
		t.Error("without the algorithm")
	}
}

// TestOtherDigestsAreNotAskedFor: nothing is signed for them, and their text
// does not reach the registry.
func TestOtherDigestsAreNotAskedFor(t *testing.T) {
	r := newRegistry()
	if _, err := verifierOf(t, newEd25519(t)).Verify(t.Context(), r, "team/app", "sha256:../x", ""); !errors.Is(err, ErrUnsigned) || r.fetches > 0 {
		t.Errorf("%v after %d questions", err, r.fetches)
	}
	r.referrers = []Descriptor{{Digest: "../x", ArtifactType: typeSigned}, {Digest: "sha256:x", ArtifactType: typeBundle}}
	if _, err := verifierOf(t, newEd25519(t)).Verify(t.Context(), r, "team/app", image, ""); !errors.Is(err, ErrUnsigned) || r.fetches != 1 {
		t.Errorf("%v after %d questions", err, r.fetches)
	}
}

// envelope is a bundle around a statement with the signatures given.
func envelope(mediaType, payloadType string, statement []byte, signatures ...[]byte) []byte {
	var all []string
	for _, s := range signatures {
		all = append(all, fmt.Sprintf(`{"sig":%q}`, base64.StdEncoding.EncodeToString(s)))
	}
	return fmt.Appendf(nil, `{"mediaType":%q,"dsseEnvelope":{"payload":%q,"payloadType":%q,"signatures":[%s]}}`,
		mediaType, base64.StdEncoding.EncodeToString(statement), payloadType, strings.Join(all, ","))
}

// TestBundleSignsOneThing: what a good key has signed counts only if it is a
// signature of this one image, in the form that says so.
func TestBundleSignsOneThing(t *testing.T) {
	key := newEd25519(t)
	keys, err := ParseKeys([]byte(pemOf(t, key)))
	if err != nil {
		t.Fatal(err)
	}
	subject := func(digest string) string {
		return fmt.Sprintf(`{"digest":{"sha256":%q}}`, strings.TrimPrefix(digest, "sha256:"))
	}
	statement := func(kind, predicate, subjects string) []byte {
		return fmt.Appendf(nil, `{"_type":%q,"predicateType":%q,"subject":[%s]}`, kind, predicate, subjects)
	}
	const kind = "https://in-toto.io/Statement/v1"
	signedBy := func(payloadType string, s []byte) []byte { return sign(t, key, preAuthentication(payloadType, s), nil) }
	good := statement(kind, signPredicate, subject(image))
	nothing := []byte("nothing")
	fill := func(n int) [][]byte {
		all := [][]byte{}
		for range n {
			all = append(all, nothing)
		}
		return append(all, signedBy(statementType, good))
	}
	for name, tt := range map[string]struct {
		content []byte
		want    bool
	}{
		"good":                   {envelope(typeBundle, statementType, good, signedBy(statementType, good)), true},
		"of in-toto 0.1":         {envelope(typeBundle, statementType, statement(kind[:len(kind)-1]+"0.1", signPredicate, subject(image)), signedBy(statementType, statement(kind[:len(kind)-1]+"0.1", signPredicate, subject(image)))), true},
		"last of the signatures": {envelope(typeBundle, statementType, good, fill(maxEnvelopeSignatures-1)...), true},
		"too many signatures":    {envelope(typeBundle, statementType, good, fill(maxEnvelopeSignatures)...), false},
		"no signature":           {envelope(typeBundle, statementType, good), false},
		"another media type":     {envelope(typeSimple, statementType, good, signedBy(statementType, good)), false},
		"another payload type":   {envelope(typeBundle, "text/plain", good, signedBy("text/plain", good)), false},
		"with rest":              {append(envelope(typeBundle, statementType, good, signedBy(statementType, good)), "{}"...), false},
		"of a wrong shape": {
			append([]byte(`{"mediaType":7,`), envelope(typeBundle, statementType, good, signedBy(statementType, good))[1:]...), false,
		},
		"another kind of statement": {func() []byte {
			s := statement("https://example.com/v1", signPredicate, subject(image))
			return envelope(typeBundle, statementType, s, signedBy(statementType, s))
		}(), false},
		"several subjects": {func() []byte {
			s := statement(kind, signPredicate, subject(image)+","+subject(another))
			return envelope(typeBundle, statementType, s, signedBy(statementType, s))
		}(), false},
		"no subject": {func() []byte {
			s := statement(kind, signPredicate, "")
			return envelope(typeBundle, statementType, s, signedBy(statementType, s))
		}(), false},
		"statement with rest": {func() []byte {
			s := append(slices.Clone(good), "{}"...)
			return envelope(typeBundle, statementType, s, signedBy(statementType, s))
		}(), false},
		"statement of a wrong shape": {func() []byte {
			s := fmt.Appendf(nil, `{"_type":%q,"predicateType":%q,"subject":7,"subject":[%s]}`, kind, signPredicate, subject(image))
			return envelope(typeBundle, statementType, s, signedBy(statementType, s))
		}(), false},
	} {
		if got := verifyBundle(keys, tt.content, image); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSimpleSignatureIsWellFormed(t *testing.T) {
	key := newEd25519(t)
	keys, err := ParseKeys([]byte(pemOf(t, key)))
	if err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string]string{
		"with rest":        string(payloadFor(image)) + "{}",
		"of a wrong shape": strings.Replace(string(payloadFor(image)), `{"critical":`, `{"critical":[],"critical":`, 1),
	} {
		if verifySimple(keys, []byte(payload), sign(t, key, []byte(payload), nil), image) {
			t.Errorf("%s: verifies", name)
		}
	}
	of := func(bytes int) *Descriptor { return &Descriptor{Annotations: signed(make([]byte, bytes))} }
	if simpleSignature(of(maxSignature/4*3)) == nil || simpleSignature(of(maxSignature/4*3+1)) != nil {
		t.Error("the bound on a signature's size")
	}
}

func TestKeysWithinBounds(t *testing.T) {
	parse := func(public any) error {
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseKeys(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		return err
	}
	modulus := func(bits int) *rsa.PublicKey {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
	}
	if err := parse(modulus(maxRSA)); err != nil {
		t.Error(err)
	}
	if err := parse(modulus(maxRSA + 1)); err == nil || !strings.Contains(err.Error(), "bits") {
		t.Errorf("too long: %v", err)
	}
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := parse(exchange.Public()); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("a key that signs nothing: %v", err)
	}
	if _, err := ParseKeys([]byte(pemOf(t, newEd25519(t)) + "\n \n")); err != nil {
		t.Errorf("blanks at the end: %v", err)
	}
}

// TestAccessoryIsTakenAtItsBytes: not one byte of what nobody signs may be
// read in two ways, nor its size left open.
func TestAccessoryIsTakenAtItsBytes(t *testing.T) {
	r := newRegistry()
	layer := r.layer(typeSimple, []byte("{}"), nil)
	good := manifestOf(layer)
	many := func(n int) string { return manifestOf(slices.Repeat([]Descriptor{layer}, n)...) }
	tampered := r.layer(typeSimple, []byte(`{"a":1}`), nil)
	r.blobs[tampered.Digest] = []byte(`{"a":2}`)
	path := layer
	path.Digest = "../../other/" + layer.Digest
	r.blobs[path.Digest] = []byte("{}")
	big := r.layer(typeSimple, slices.Concat([]byte(`"`), []byte(strings.Repeat("x", maxAccessory-2)), []byte(`"`)), nil)
	bigger := r.layer(typeSimple, slices.Concat([]byte(`"`), []byte(strings.Repeat("x", maxAccessory-1)), []byte(`"`)), nil)
	nested := func(depth int) string {
		return strings.Replace(good, `{`, `{"annotations":`+strings.Repeat("[", depth)+strings.Repeat("]", depth)+`,`, 1)
	}
	for name, tt := range map[string]struct {
		manifest string
		want     bool
	}{
		"good":               {good, true},
		"as many as allowed": {many(MaxLayers), true},
		"one more":           {many(MaxLayers + 1), false},
		"tampered":           {manifestOf(tampered), false},
		"a path as digest":   {manifestOf(path), false},
		"as big as allowed":  {manifestOf(big), true},
		"bigger":             {manifestOf(bigger), false},
		"bigger together":    {manifestOf(big, layer), false},
		"as deep as allowed": {nested(maxDepth), true},
		"deeper":             {nested(maxDepth + 1), false},
		"schema 1":           {strings.Replace(good, `"schemaVersion":2`, `"schemaVersion":1`, 1), false},
		"wrong shape":        {strings.Replace(good, `"mediaType":"`+typeManifest+`"`, `"mediaType":7`, 1), false},
		"no schema":          {strings.Replace(good, `"schemaVersion":2`, `"artifactType":""`, 1), false},
		"name twice inside":  {strings.Replace(good, `{`, `{"annotations":{"a":"1","A":"2"},`, 1), false},
		"twice in a list":    {strings.Replace(good, `{`, `{"annotations":{"x":[{"a":"1","a":"2"}]},`, 1), false},
		"as big a manifest":  {good + strings.Repeat(" ", MaxManifest-len(good)), true},
		"a bigger manifest":  {good + strings.Repeat(" ", MaxManifest-len(good)+1), false},
		"rest":               {good + "]", false},
	} {
		got, err := Accessory(t.Context(), r, "team/app", []byte(tt.manifest), typeManifest)
		if err != nil || got != tt.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, text := range []string{``, `[`, `{"a":`, `{"a":1`, `[1`, `[{"a":1`, `{1:2}`, `{"a":[}`, `{"a":{"b":1,"b":2}}`} {
		if unambiguous(json.NewDecoder(strings.NewReader(text)), 0) {
			t.Errorf("%s reads alike everywhere", text)
		}
	}
	if plain([]byte(`[]`)) || plain([]byte(`"x"`)) || plain([]byte(`{} {}`)) || plain([]byte(`{`)) || !plain([]byte(`{}`)) {
		t.Error("what is no object")
	}
}

// TestLayersThatCannotSign are not asked for: their digest is no digest, or
// they say that they are too large.
func TestLayersThatCannotSign(t *testing.T) {
	key, r := newEd25519(t), newRegistry()
	full := append(payloadFor(image), strings.Repeat(" ", MaxPayload-len(payloadFor(image)))...)
	good := r.layer(typeSimple, full, signed(sign(t, key, full, nil)))
	path, large := good, good
	path.Digest = "../../other/" + good.Digest
	large.Size = MaxPayload + 1
	for name, layer := range map[string]Descriptor{"path": path, "large": large} {
		r.fetches, r.manifests[sigTag] = 0, manifestOf(layer)
		if _, err := verifierOf(t, key).Verify(t.Context(), r, "team/app", image, ""); !errors.Is(err, ErrUntrusted) || r.fetches != 1 {
			t.Errorf("%s: %v after %d questions", name, err, r.fetches)
		}
	}
	r.manifests[sigTag] = manifestOf(good)
	if _, err := verifierOf(t, key).Verify(t.Context(), r, "team/app", image, ""); err != nil {
		t.Errorf("as large as allowed: %v", err)
	}
}

// TestLikelySignaturesComeFirst, and in another order each time: what is
// attached to hide one does not hide it from every try.
func TestLikelySignaturesComeFirst(t *testing.T) {
	var all []Descriptor
	for i := range 20 {
		all = append(all, Descriptor{Digest: Digest(fmt.Append(nil, i))})
	}
	says := Descriptor{Digest: another, ArtifactType: typeBundle, Annotations: map[string]string{predicateAnnotation: signPredicate}}
	all = append(all, says)
	first, orders := likely(all), map[string]bool{}
	if len(first) != len(all) || first[0] != another {
		t.Errorf("%d, first %s", len(first), first[0])
	}
	for range 5 {
		orders[strings.Join(likely(all), " ")] = true
	}
	if len(orders) < 2 {
		t.Error("the order is the same each time")
	}
}

func TestIndexesOfBothFamilies(t *testing.T) {
	index := []byte(`{"schemaVersion":2,"manifests":[` + strings.Repeat(`{"digest":"`+image+`"},`, maxChildren) + `{"digest":"` + another + `"}]}`)
	if got := Children(index, typeList); len(got) != maxChildren {
		t.Errorf("%d children of a Docker list", len(got))
	}
	if got := Children([]byte(`<html>`), typeIndex); got != nil {
		t.Errorf("children of no manifest: %v", got)
	}
	if IsIndex(typeManifest) || IsIndex("") {
		t.Error("an image is an index")
	}
}

// TestSearchEndsSaying: one that saw everything says that nothing is trusted,
// one that did not says so.
func TestSearchEndsSaying(t *testing.T) {
	r := newRegistry()
	key := newEd25519(t)
	junk := func(n int) {
		r.referrers = nil
		for i := range n {
			r.referrers = append(r.referrers, Descriptor{Digest: Digest(fmt.Append(nil, i)), ArtifactType: typeSimple})
		}
	}
	verify := func(keys ...crypto.Signer) error {
		_, err := verifierOf(t, keys...).Verify(t.Context(), r, "team/app", image, "")
		return err
	}
	junk(maxFetches - 1)
	if err := verify(key); !errors.Is(err, ErrUnsigned) {
		t.Errorf("everything was seen: %v", err)
	}
	junk(maxFetches)
	if err := verify(key); !errors.Is(err, ErrTooMany) {
		t.Errorf("one was not: %v", err)
	}

	// A good signature behind as many as are computed, and one more.
	good := r.layer(typeSimple, payloadFor(image), signed(sign(t, key, payloadFor(image), nil)))
	bad := r.layer(typeSimple, []byte("{}"), signed([]byte("x")))
	r.manifests[sigTag] = manifestOf(append([]Descriptor{good}, slices.Repeat([]Descriptor{bad}, maxChecks-1)...)...)
	if err := verify(key); err != nil {
		t.Errorf("the last that is computed: %v", err)
	}
	r.manifests[sigTag] = manifestOf(append([]Descriptor{good}, slices.Repeat([]Descriptor{bad}, maxChecks)...)...)
	if err := verify(key); !errors.Is(err, ErrTooMany) {
		t.Errorf("one that is not computed: %v", err)
	}

	// The bound on checks, which costs no questions: one payload for all.
	r = newRegistry()
	layer := r.layer(typeSimple, []byte("{}"), signed([]byte("x")))
	r.manifests[sigTag] = manifestOf(slices.Repeat([]Descriptor{layer}, maxChecks)...)
	if err := verify(key); errors.Is(err, ErrTooMany) || !errors.Is(err, ErrUntrusted) {
		t.Errorf("every signature was computed: %v", err)
	}
	r.manifests[sigTag] = manifestOf(slices.Repeat([]Descriptor{layer}, maxChecks+1)...)
	if err := verify(key); !errors.Is(err, ErrTooMany) {
		t.Errorf("one was not computed: %v", err)
	}
	r.manifests[sigTag] = manifestOf(slices.Repeat([]Descriptor{layer}, maxChecks/2+1)...)
	if err := verify(key, newECDSA(t, elliptic.P256())); !errors.Is(err, ErrTooMany) {
		t.Errorf("with two keys: %v", err)
	}
}
