package management

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// Document is everything that is managed but secrets, for [Manager.Export] and
// [Manager.Import], and for the bootstrap file. A list that is absent says
// nothing; an empty one means none.
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

// Export returns everything that is stored and managed, but secrets and their
// hashes, and what ends by itself: sessions and access tokens. What the
// configuration declares is not part of it.
func (m *Manager) Export(who *Caller) (*Document, error) {
	if err := m.needsAdmin(who, ScopeAll); err != nil {
		return nil, err
	}
	d := m.current()
	for i := range d.Robots {
		d.Robots[i].SecretHashes = nil
	}
	for i := range d.APIKeys {
		d.APIKeys[i].Hash = ""
	}
	return d, nil
}

// current is the document of what is stored, with hashes. All lists are there.
func (m *Manager) current() *Document {
	on := false
	d := &Document{
		Version: documentVersion, ReadOnly: &on, ReadOnlyProjects: []string{}, Projects: []NewProject{}, RoleMappings: []NewRoleMapping{},
		Robots: []DocumentRobot{}, APIKeys: []DocumentKey{}, Owners: []DocumentOwner{}, LockedOut: []DocumentUser{},
	}
	for _, i := range m.state.Settings.Sorted() {
		if i.ID == state.SettingReadOnly {
			on = i.Value.On
		} else if name, ok := strings.CutPrefix(i.ID, projectSwitch("")); ok && i.Value.On {
			d.ReadOnlyProjects = append(d.ReadOnlyProjects, name)
		}
	}
	for _, i := range m.state.Projects.Sorted() {
		d.Projects = append(d.Projects, NewProject{Name: i.ID, ProjectInput: showProject(i).ProjectInput})
	}
	for _, i := range m.state.RoleMappings.Sorted() {
		d.RoleMappings = append(d.RoleMappings, NewRoleMapping{Principal: i.ID, RoleMappingInput: showMapping(i).RoleMappingInput})
	}
	for _, i := range m.state.Robots.Sorted() {
		d.Robots = append(d.Robots, robotDocument(i.Value))
	}
	for _, i := range m.state.APIKeys.Sorted() {
		if !i.Value.Bootstrap {
			d.APIKeys = append(d.APIKeys, keyDocument(i.ID, i.Value))
		}
	}
	for _, i := range m.state.Owners.Sorted() {
		if !i.Value.Pending {
			d.Owners = append(d.Owners, DocumentOwner{Repository: ownedName(i.ID), OwnerInput: OwnerInput{Principal: i.Value.Principal, Identity: i.Value.Identity}})
		}
	}
	for _, i := range m.state.Users.Sorted() {
		if i.Value.Disabled {
			d.LockedOut = append(d.LockedOut, DocumentUser{Issuer: i.Value.Issuer, Subject: i.Value.Subject, Name: i.Value.Name})
		}
	}
	return d
}

func robotDocument(r *state.Robot) DocumentRobot {
	d := DocumentRobot{Name: r.Name, RobotSettings: RobotSettings{
		Description: r.Description, Disabled: r.Disabled, Expires: timeOf(r.Expires), From: r.From, Permissions: permissionsOf(r.Permissions),
	}}
	for _, s := range r.Secrets {
		d.SecretHashes = append(d.SecretHashes, s.Hash)
	}
	return d
}

func keyDocument(id string, k *state.APIKey) DocumentKey {
	return DocumentKey{ID: id, Name: k.Name, Scopes: slices.Clone(k.Scopes), From: k.From, Expires: timeOf(k.Expires), Disabled: k.Disabled, Hash: k.Hash}
}

// documentRoutes export and import everything at once.
func (a *API) documentRoutes() []route {
	m := a.manager
	return []route{
		{
			method: http.MethodGet, path: "/export", id: "export", group: "export", scope: ScopeAll,
			summary: "Everything that is stored but secrets, in the form that import takes. For administrators.",
			status:  http.StatusOK, result: of[Document](), fails: []Code{CodeForbidden},
			serve: func(c *call) (*answer, error) {
				d, err := m.Export(c.who)
				return &answer{value: d}, err
			},
		},
		{
			method: http.MethodPost, path: "/import", id: "import", group: "export", scope: ScopeAll, maxBody: maxDocumentBody,
			summary: "Makes things as a document says, all of it or nothing; the second time it does nothing. For administrators.",
			query: []queryParameter{
				{"dry_run", "true: only say what would be done.", schema{"type": "string", "enum": []string{"true", "false"}}},
				{"prune", "true: delete what lists of the document do not have. Lists that are absent are left alone.", schema{"type": "string", "enum": []string{"true", "false"}}},
			},
			body: of[Document](), status: http.StatusOK, result: of[ImportResult](), fails: []Code{CodeForbidden, CodeConflict},
			serve: func(c *call) (*answer, error) {
				q := c.request.URL.Query()
				dry, err := flagOf(q, "dry_run")
				if err != nil {
					return nil, err
				}
				prune, err := flagOf(q, "prune")
				if err != nil {
					return nil, err
				}
				d := input[Document](c)
				r, err := m.Import(c.request.Context(), c.who, &d, ImportOptions{DryRun: dry, Prune: prune})
				return &answer{value: r}, err
			},
		},
	}
}

// maxDocumentBody is how large a document may be, in bytes: some ten thousand
// robots.
const maxDocumentBody = 16 << 20
