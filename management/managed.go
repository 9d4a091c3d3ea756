package management

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// managed is a kind of record that the API manages under a name, such as role
// mappings. The fields hold what is particular to the kind. How records are
// listed, read, put and deleted is the same for every kind: see the methods.
type managed[T, V, In any] struct {
	manager *Manager
	table   *state.Table[T]
	object  func(name string) state.Object // in the audit log
	show    func(*state.Item[T]) *V

	// id and name convert between a name and the id of its record; nil: they
	// are the same.
	id, name func(string) string
	// mayRead, mayPut and mayDelete refuse a caller before anything is looked up.
	mayRead, mayPut, mayDelete func(*Caller) error
	// sees reports whether a record, nil for one that is to be made, exists as
	// far as the caller may know; nil: all do.
	sees func(*Caller, *T) bool
	// check checks a request body and returns the record to store.
	check func(who *Caller, name string, in In) (*T, error)
	// fits is a last check before a record is written; nil: none.
	fits func(*T) error
	// release refuses to delete a record that is in use, and deletes what goes
	// with it; nil: nothing does.
	release func(tx *state.Tx, name string) error
	// put is the event of a record that is put; empty: kind.create or kind.update.
	put string
	// missing and exists are the errors of a record that is not there, and of
	// one that cannot be created because it is.
	missing, exists func(name string) error
}

func (d *managed[T, V, In]) idOf(name string) string {
	if d.id == nil {
		return name
	}
	return d.id(name)
}

func (d *managed[T, V, In]) nameOf(item *state.Item[T]) string {
	if d.name == nil {
		return item.ID
	}
	return d.name(item.ID)
}

func (d *managed[T, V, In]) visible(who *Caller, item *state.Item[T]) bool {
	if d.sees == nil {
		return true
	}
	if item == nil {
		return d.sees(who, nil)
	}
	return d.sees(who, item.Value)
}

// list returns a page of the records that the caller may see and that are
// wanted; nil: all are.
func (d *managed[T, V, In]) list(who *Caller, q PageQuery, wanted func(name string) bool) (*Page[*V], error) {
	if err := d.mayRead(who); err != nil {
		return nil, err
	}
	records := func(yield func(*state.Item[T]) bool) {
		for item := range d.table.All() {
			if (wanted == nil || wanted(d.nameOf(item))) && d.visible(who, item) && !yield(item) {
				return
			}
		}
	}
	return page(q, records, d.nameOf, d.show)
}

// get returns a record. One that the caller may not see does not exist.
func (d *managed[T, V, In]) get(who *Caller, name string) (*V, error) {
	if err := d.mayRead(who); err != nil {
		return nil, err
	}
	item, ok := d.table.Get(d.idOf(name))
	if !ok || !d.visible(who, item) {
		return nil, d.missing(name)
	}
	return d.show(item), nil
}

// create makes a record and fails if it exists.
func (d *managed[T, V, In]) create(ctx context.Context, who *Caller, name string, in In) (*V, error) {
	made, _, err := d.replace(ctx, who, name, in, Match{Absent: true})
	if err != nil && AsError(err).Code == CodeStale {
		return nil, d.exists(name)
	}
	return made, err
}

// replace makes a record or replaces it, and reports whether it is new.
func (d *managed[T, V, In]) replace(ctx context.Context, who *Caller, name string, in In, match Match) (made *V, created bool, err error) {
	if err := d.mayPut(who); err != nil {
		return nil, false, err
	}
	next, err := d.check(who, name, in)
	if err != nil {
		return nil, false, err
	}
	err = d.manager.again(ctx, func() error {
		before, exists := d.table.Get(d.idOf(name))
		if !exists {
			before = nil
		}
		if !d.visible(who, before) {
			return d.missing(name)
		}
		event := d.put
		if event == "" {
			event = verb(d.object(name).Kind, exists)
		}
		made, created, err = d.write(ctx, who, name, before, next, match, event)
		return err
	})
	return made, created, err
}

// write stores a record that was checked, in place of the one before, nil for
// none. A record that is as before is not written.
func (d *managed[T, V, In]) write(ctx context.Context, who *Caller, name string, before *state.Item[T], next *T, match Match, event string) (*V, bool, error) {
	revision, condition := expect(before)
	same := before != nil && equalRecord(before.Value, next)
	if err := match.check(revision, d.manager.didBefore(ctx, who, d.object(name), match, revision, same)); err != nil {
		return nil, false, err
	}
	if same {
		return d.show(before), false, unchanged(ctx, d.manager, d.table, before)
	}
	var old any
	if before != nil {
		old = d.show(before)
	}
	if d.fits != nil {
		if err := d.fits(next); err != nil {
			return nil, false, err
		}
	}
	made := d.show(&state.Item[T]{ID: d.idOf(name), Value: next})
	var tx state.Tx
	state.Put(&tx, d.table, d.idOf(name), next, condition)
	tx.Note(who.Actor(), event, d.object(name), old, made)
	if err := d.manager.commit(ctx, who, &tx, made); err != nil {
		return nil, false, err
	}
	return made, before == nil, nil
}

// remove deletes a record.
func (d *managed[T, V, In]) remove(ctx context.Context, who *Caller, name string, match Match) error {
	if err := d.mayDelete(who); err != nil {
		return err
	}
	return d.manager.again(ctx, func() error {
		item, ok := d.table.Get(d.idOf(name))
		if !ok || !d.visible(who, item) {
			return d.missing(name)
		}
		if err := match.check(item.Revision, false); err != nil {
			return err
		}
		var tx state.Tx
		state.Delete(&tx, d.table, item.ID, state.Unchanged(item))
		if d.release != nil {
			if err := d.release(&tx, name); err != nil {
				return err
			}
		}
		object := d.object(name)
		tx.Note(who.Actor(), object.Kind+".delete", object, d.show(item), nil)
		return d.manager.commit(ctx, who, &tx, nil)
	})
}

// verb names an event.
func verb(kind string, exists bool) string {
	if exists {
		return kind + ".update"
	}
	return kind + ".create"
}

// collection describes the paths of a resource: the list at path, and each
// member below it at the path's variable. Its methods make the routes, and so
// the OpenAPI document.
type collection[V any] struct {
	path, variable, group string
	read, write           Scope
	name                  func(*V) string // for Location; nil: none is sent
}

func (x collection[V]) member() string { return x.path + "/{" + x.variable + "}" }

func (x collection[V]) location(v *V) string {
	if x.name == nil {
		return ""
	}
	return x.path + "/" + url.PathEscape(x.name(v))
}

func (x collection[V]) answer(v *V, created bool, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return &answer{value: v, created: created, location: x.location(v)}, nil
}

func (x collection[V]) list(id, summary string, do func(*Caller, PageQuery) (*Page[*V], error), fails ...Code) route {
	return x.search(id, summary, nil, func(c *call, p PageQuery) (*Page[*V], error) { return do(c.who, p) }, fails...)
}

// search is a list with query parameters of its own.
func (x collection[V]) search(id, summary string, by []queryParameter, do func(*call, PageQuery) (*Page[*V], error), fails ...Code) route {
	return route{
		method: http.MethodGet, path: x.path, id: id, group: x.group, scope: x.read,
		summary: summary, query: slices.Concat(by, pageParameters), status: http.StatusOK, result: of[List[*V]](), fails: fails,
		serve: func(c *call) (*answer, error) {
			p, err := c.page()
			if err != nil {
				return nil, err
			}
			return list(do(c, p))
		},
	}
}

func (x collection[V]) get(id, summary string, do func(*Caller, string) (*V, error), fails ...Code) route {
	return route{
		method: http.MethodGet, path: x.member(), id: id, group: x.group, scope: x.read,
		summary: summary, status: http.StatusOK, result: of[V](), versioned: true, fails: fails,
		serve: func(c *call) (*answer, error) {
			v, err := do(c.who, c.path[x.variable])
			if err != nil {
				return nil, err
			}
			return &answer{value: v}, nil
		},
	}
}

func (x collection[V]) remove(id, summary string, do func(context.Context, *Caller, string, Match) error, fails ...Code) route {
	return route{
		method: http.MethodDelete, path: x.member(), id: id, group: x.group, scope: x.write,
		summary: summary, status: http.StatusNoContent, versioned: true, fails: fails,
		serve: func(c *call) (*answer, error) {
			return &answer{}, do(c.request.Context(), c.who, c.path[x.variable], c.match)
		},
	}
}

// creating is the route that makes a member of a collection.
func creating[In, V any](x collection[V], id, summary string, do func(context.Context, *Caller, In) (*V, error), fails ...Code) route {
	return route{
		method: http.MethodPost, path: x.path, id: id, group: x.group, scope: x.write, once: true,
		summary: summary, body: of[In](), status: http.StatusCreated, result: of[V](), versioned: true, fails: fails,
		serve: func(c *call) (*answer, error) {
			v, err := do(c.request.Context(), c.who, input[In](c))
			return x.answer(v, true, err)
		},
		location: func(v any) string {
			if v, ok := v.(*V); ok {
				return x.location(v)
			}
			return ""
		},
	}
}

// putting is the route that makes a member of a collection or replaces it.
func putting[In, V any](x collection[V], id, summary string, do func(context.Context, *Caller, string, In, Match) (*V, bool, error), fails ...Code) route {
	return route{
		method: http.MethodPut, path: x.member(), id: id, group: x.group, scope: x.write,
		summary: summary, body: of[In](), status: http.StatusOK, created: true, result: of[V](), versioned: true, fails: fails,
		serve: func(c *call) (*answer, error) {
			return x.answer(do(c.request.Context(), c.who, c.path[x.variable], input[In](c), c.match))
		},
	}
}
