package management

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// Document is everything that is managed but secrets, for [Manager.Export] and
// [Manager.Import], and for the bootstrap file. A list that is absent says
// nothing; one that is empty says that there are none.
type Document struct {
	Version          int              `json:"version" doc:"Of the format: 1." min:"1" max:"1"`
	ReadOnly         *bool            `json:"read_only,omitempty" doc:"Whether the whole registry is switched to read-only."`
	ReadOnlyProjects []string         `json:"read_only_projects,omitempty" doc:"The projects, also declared ones, that are."`
	Projects         []NewProject     `json:"projects,omitempty"`
	RoleMappings     []NewRoleMapping `json:"role_mappings,omitempty"`
	Robots           []DocumentRobot  `json:"robots,omitempty"`
	APIKeys          []DocumentKey    `json:"api_keys,omitempty"`
	Owners           []DocumentOwner  `json:"owners,omitempty"`
	LockedOut        []DocumentUser   `json:"locked_out,omitempty" doc:"Users whom an administrator has locked out."`
}

// DocumentRobot is a robot of a document.
type DocumentRobot struct {
	Name string `json:"name" min:"1" max:"128"`
	RobotSettings
	SecretHashes []string `json:"secret_hashes,omitempty" doc:"The stored forms of its secrets, in place of those that it has. Never exported." max:"10"`
}

// DocumentKey is a key of the API.
type DocumentKey struct {
	ID       string     `json:"id,omitempty" doc:"The public id; that of the hash if it is not given." max:"64"`
	Name     string     `json:"name" min:"1" max:"100"`
	Scopes   []string   `json:"scopes" doc:"What it is good for." min:"1" max:"50"`
	From     []string   `json:"from,omitempty" max:"100"`
	Expires  *time.Time `json:"expires,omitempty"`
	Disabled bool       `json:"disabled,omitempty"`
	Hash     string     `json:"hash,omitempty" doc:"The stored form of the key. Never exported." max:"200"`
}

// DocumentOwner is who owns a repository or namespace.
type DocumentOwner struct {
	Repository string `json:"repository" min:"1" max:"255"`
	OwnerInput
}

// DocumentUser is a user, by issuer and subject or, without them, by name.
type DocumentUser struct {
	Issuer  string `json:"issuer,omitempty" max:"1000"`
	Subject string `json:"subject,omitempty" max:"1000"`
	Name    string `json:"name" min:"1" max:"512"`
}

// documentVersion is the format of documents.
const documentVersion = 1

// ParseDocument reads a document in YAML or JSON. What is not known is refused
// by name, and every field is held to its bounds.
func ParseDocument(text []byte) (*Document, error) {
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	d := new(Document)
	if err := decode(raw, d, false); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	return d, nil
}

// YAML writes the document for people to read, fields in their order.
func (d *Document) YAML() ([]byte, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	var tree yaml.Node // JSON is YAML, in another style
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	plainStyle(&tree)
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(&tree); err != nil {
		return nil, err
	}
	return out.Bytes(), e.Close()
}

func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}
