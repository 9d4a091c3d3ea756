package caddyfile

import "encoding/json"

// Fingerprint is the configuration without where it was written: the same
// lines in two places of a Caddyfile declare the same realm.
func Fingerprint(config Config) ([]byte, error) {
	data, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	return json.Marshal(withoutSource(tree))
}

func withoutSource(tree any) any {
	switch t := tree.(type) {
	case map[string]any:
		delete(t, "source")
		for k, v := range t {
			t[k] = withoutSource(v)
		}
	case []any:
		for i, v := range t {
			t[i] = withoutSource(v)
		}
	}
	return tree
}
