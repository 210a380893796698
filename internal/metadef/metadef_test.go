package metadef_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/metadef"
	"kuva/internal/policy"
)

var (
	admin = kuva.Principal{UserID: "root", ProjectID: "ops", Roles: []string{"admin", "member", "reader"}, Admin: true}
	blue  = kuva.Principal{UserID: "ann", ProjectID: "blue", Roles: []string{"member", "reader"}}
	green = kuva.Principal{UserID: "bob", ProjectID: "green", Roles: []string{"member", "reader"}}
	alien = kuva.Principal{UserID: "zed"} // works in no project
)

func names(list []metadef.Namespace) []string {
	out := []string{}
	for _, n := range list {
		out = append(out, n.Namespace)
	}
	return out
}

// clock ticks a second at each look.
func clock() func() time.Time {
	var mu sync.Mutex
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(time.Second)
		return at
	}
}

func wants(t *testing.T, code kuva.Code, err error) {
	t.Helper()
	if kuva.CodeOf(err) != code || err == nil {
		t.Errorf("got %v, want %s", err, code)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestUsual holds the shipped files to the checks of any document, and to the
// names that clients look for.
func TestUsual(t *testing.T) {
	usual, err := metadef.Usual()
	must(t, err)
	if len(usual) != 33 {
		t.Errorf("%d namespaces", len(usual))
	}
	resources := []string{"OS::Glance::Image", "OS::Nova::Flavor", "OS::Nova::Server", "OS::Nova::Aggregate", "OS::Cinder::Volume", "OS::Trove::Instance"}
	properties := map[string]bool{}
	for i := range usual {
		n := &usual[i]
		if err := n.Check(); err != nil {
			t.Errorf("%s: %v", n.Namespace, err)
		}
		if n.Visibility != metadef.Public || n.DisplayName == "" || n.Description == "" || len(n.Properties)+len(n.Objects) == 0 {
			t.Errorf("%s says too little", n.Namespace)
		}
		for _, a := range n.Associations {
			if !slices.Contains(resources, a.Name) {
				t.Errorf("%s: resource type %s", n.Namespace, a.Name)
			}
		}
		all := []map[string]metadef.Property{n.Properties}
		for _, o := range n.Objects {
			all = append(all, o.Properties)
		}
		for _, list := range all {
			for name, p := range list {
				properties[name] = true
				if p.Description == nil || *p.Description == "" {
					t.Errorf("%s: %s has no description", n.Namespace, name)
				}
				if p.Default != nil && len(p.Enum) > 0 && !slices.Contains(p.Enum, *p.Default) && !strings.HasSuffix(name, "_edition") {
					t.Errorf("%s: the default of %s is none of its values", n.Namespace, name)
				}
			}
		}
	}
	for _, name := range []string{"hw_disk_bus", "hw_firmware_type", "os_distro", "cpu_policy", "mem_page_size", "img_signature", "quota:cpu_shares", "sw_runtime_python_version", "watchdog_action"} {
		if !properties[name] {
			t.Errorf("no property %s", name)
		}
	}
}

// TestLoad: the usual namespaces come once, on however many nodes, and what the
// operator made of them stays.
func TestLoad(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := t.Context()
		s := metadef.New(metadef.Config{DB: db, Now: clock()})
		var wg sync.WaitGroup
		var mu sync.Mutex
		loaded := 0
		for range 3 {
			wg.Go(func() {
				n, err := s.Load(ctx)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				loaded += n
				mu.Unlock()
			})
		}
		wg.Wait()
		if loaded != 33 {
			t.Errorf("%d namespaces loaded", loaded)
		}
		found, err := s.Namespaces(ctx, alien, metadef.Query{Sort: "namespace", Ascending: true, Limit: 100})
		must(t, err)
		if len(found) != 33 {
			t.Errorf("%d namespaces seen", len(found))
		}
		types, err := s.ResourceTypes(ctx, alien)
		must(t, err)
		if len(types) != 6 {
			t.Errorf("resource types %v", types)
		}
		for _, n := range found {
			_, err := s.UpdateNamespace(ctx, admin, n.Namespace, &metadef.Namespace{Namespace: n.Namespace})
			must(t, err)
			must(t, s.DeleteNamespace(ctx, admin, n.Namespace))
		}
		if n, err := s.Load(ctx); n != 0 || err != nil {
			t.Errorf("%d loaded again, %v", n, err)
		}
	})
}

// TestListEverywhere walks pages by every key on both engines: each namespace
// that the caller sees comes once, in order.
func TestListEverywhere(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := t.Context()
		s := metadef.New(metadef.Config{DB: db, Now: clock()})
		for i := range 9 {
			n := &metadef.Namespace{Namespace: fmt.Sprintf("n%d", i*7%9), DisplayName: fmt.Sprint(i % 2), Owner: []string{"blue", "green"}[i%2], Protected: i%3 == 0}
			if i < 5 {
				n.Visibility = metadef.Public
			}
			_, err := s.CreateNamespace(ctx, admin, n)
			must(t, err)
		}
		for _, key := range []string{"", "created_at", "updated_at", "namespace", "visibility", "owner", "protected", "display_name", "description"} {
			for who, want := range map[*kuva.Principal]int{&admin: 9, &blue: 7, &green: 7, &alien: 5} {
				for _, ascending := range []bool{true, false} {
					whole, err := s.Namespaces(ctx, *who, metadef.Query{Sort: key, Ascending: ascending, Limit: 100})
					must(t, err)
					var paged []metadef.Namespace
					for q := (metadef.Query{Sort: key, Ascending: ascending, Limit: 2}); ; q.Marker = paged[len(paged)-1].Namespace {
						page, err := s.Namespaces(ctx, *who, q)
						must(t, err)
						paged = append(paged, page...)
						if len(page) < 2 {
							break
						}
					}
					if !slices.Equal(names(whole), names(paged)) || len(whole) != want {
						t.Errorf("%s by %s, %v: %v in one, %v in pages", who.UserID, key, ascending, names(whole), names(paged))
					}
				}
			}
		}
		wants(t, kuva.CodeInvalid, func() error { _, err := s.Namespaces(ctx, blue, metadef.Query{Sort: "id; --", Limit: 1}); return err }())
		wants(t, kuva.CodeNotFound, func() error {
			_, err := s.Namespaces(ctx, alien, metadef.Query{Marker: "n" + fmt.Sprint(8*7%9), Limit: 1})
			return err
		}())
	})
}

// TestLife takes a namespace through its life on both engines.
func TestLife(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := t.Context()
		s := metadef.New(metadef.Config{DB: db, Now: clock()})
		doc := &metadef.Namespace{
			Namespace: "life", Owner: "blue",
			Associations: []metadef.Association{{Name: "A::B", Prefix: "p:"}},
			Objects:      []metadef.Object{{Name: "o", Required: []string{"x"}, Properties: map[string]metadef.Property{"x": {Type: "string", Title: "X"}}}},
			Properties:   map[string]metadef.Property{"y": {Type: "number", Title: "Y"}},
			Tags:         []metadef.Tag{{Name: "t"}},
		}
		_, err := s.CreateNamespace(ctx, blue, doc)
		wants(t, kuva.CodeForbidden, err)
		_, err = s.CreateNamespace(ctx, admin, doc)
		must(t, err)
		_, err = s.CreateNamespace(ctx, admin, doc)
		wants(t, kuva.CodeConflict, err)

		n, err := s.Namespace(ctx, blue, "life", "A::B")
		must(t, err)
		if n.Visibility != metadef.Private || n.Objects[0].Properties["p:x"].Title != "X" || n.Objects[0].Required[0] != "p:x" || n.Properties["p:y"].Type != "number" {
			t.Errorf("with prefixes: %+v", n)
		}
		for _, who := range []kuva.Principal{green, alien} {
			_, err = s.Namespace(ctx, who, "life", "")
			wants(t, kuva.CodeNotFound, err)
			_, err = s.AddTag(ctx, who, "life", "")
			wants(t, kuva.CodeNotFound, err)
			_, err = s.SetObject(ctx, who, "life", "o", &metadef.Object{})
			wants(t, kuva.CodeNotFound, err)
		}
		_, err = s.AddTag(ctx, blue, "life", "")
		wants(t, kuva.CodeForbidden, err)

		// A change that fails changes nothing.
		wants(t, kuva.CodeConflict, s.AddTags(ctx, admin, "life", []metadef.Tag{{Name: "u"}, {Name: "v"}, {Name: "u"}}, false))
		tags, err := s.Tags(ctx, blue, "life", metadef.Page{})
		must(t, err)
		if len(tags) != 1 || tags[0].Name != "t" {
			t.Errorf("tags are %v", tags)
		}
		_, err = s.SetTag(ctx, admin, "life", "t", &metadef.Tag{Name: "t"}) // its own name is free
		must(t, err)
		must(t, s.Dissociate(ctx, admin, "life", "A::B"))
		types, err := s.ResourceTypes(ctx, green)
		must(t, err)
		if len(types) != 1 || types[0].Name != "A::B" {
			t.Errorf("resource types %v", types)
		}
		must(t, s.DeleteNamespace(ctx, admin, "life"))
		_, err = s.Object(ctx, admin, "life", "o")
		wants(t, kuva.CodeNotFound, err)
		must(t, db.View(ctx, func(tx *catalog.Tx) error {
			var left int
			if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM metadef_item`).Scan(&left); err != nil || left != 0 {
				t.Errorf("%d items are left, %v", left, err)
			}
			lines, err := audit.ListByObject(ctx, tx, "life", 0, 10)
			if len(lines) != 4 || lines[0].Action != "metadef_namespace.delete" || lines[3].Action != "metadef_namespace.create" {
				t.Errorf("audit has %v", lines)
			}
			return err
		}))
	})
}

// TestBounds: a namespace takes so many things and so many bytes.
func TestBounds(t *testing.T) {
	ctx := t.Context()
	s := metadef.New(metadef.Config{DB: catalogtest.SQLite(t)})
	large := func(name string, size int) *metadef.Object {
		return &metadef.Object{Name: name, Description: strings.Repeat("x", size)}
	}
	_, err := s.CreateNamespace(ctx, admin, &metadef.Namespace{Namespace: "full"})
	must(t, err)
	_, err = s.AddObject(ctx, admin, "full", large("o", 65<<10))
	wants(t, kuva.CodeTooLarge, err)
	for i := range metadef.MaxBytes / (60 << 10) {
		_, err = s.AddObject(ctx, admin, "full", large(fmt.Sprint(i), 60<<10))
		must(t, err)
	}
	_, err = s.AddObject(ctx, admin, "full", large("more", 60<<10))
	wants(t, kuva.CodeTooLarge, err)
	_, err = s.SetObject(ctx, admin, "full", "0", large("0", 63<<10))
	must(t, err)

	tags := make([]metadef.Tag, metadef.MaxItems)
	for i := range tags {
		tags[i].Name = fmt.Sprint(i)
	}
	_, err = s.CreateNamespace(ctx, admin, &metadef.Namespace{Namespace: "tags"})
	must(t, err)
	must(t, s.AddTags(ctx, admin, "tags", tags, false))
	_, err = s.AddTag(ctx, admin, "tags", "one more")
	wants(t, kuva.CodeTooLarge, err)
	must(t, s.AddTags(ctx, admin, "tags", tags, false)) // in the place of the others
}

// TestPolicy: an operator's rules hold, and hide at most.
func TestPolicy(t *testing.T) {
	ctx := t.Context()
	db := catalogtest.SQLite(t)
	p, err := policy.With(map[string]string{
		"add_metadef_namespace": "role:member", "get_metadef_tags": "!", "get_metadef_namespace": "@", "delete_metadef_namespace": "rule:owner_member",
	})
	must(t, err)
	s := metadef.New(metadef.Config{DB: db, Policy: p})
	_, err = s.CreateNamespace(ctx, blue, &metadef.Namespace{Namespace: "own"})
	must(t, err)
	_, err = s.CreateNamespace(ctx, blue, &metadef.Namespace{Namespace: "tagged", Tags: []metadef.Tag{{Name: "t"}}})
	wants(t, kuva.CodeForbidden, err)
	_, err = s.Tags(ctx, blue, "own", metadef.Page{})
	wants(t, kuva.CodeForbidden, err)
	wants(t, kuva.CodeNotFound, s.DeleteNamespace(ctx, green, "own"))
	must(t, s.DeleteNamespace(ctx, blue, "own"))
}

// TestRenameTogether: of many that want a name at once, one gets it.
func TestRenameTogether(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := t.Context()
		s := metadef.New(metadef.Config{DB: db})
		var wg sync.WaitGroup
		results := make([]error, 6)
		for i := range results {
			name := fmt.Sprint("n", i)
			_, err := s.CreateNamespace(ctx, admin, &metadef.Namespace{Namespace: name})
			must(t, err)
			wg.Go(func() { _, results[i] = s.UpdateNamespace(ctx, admin, name, &metadef.Namespace{Namespace: "wanted"}) })
		}
		wg.Wait()
		got := 0
		for _, err := range results {
			if err == nil {
				got++
				continue
			}
			wants(t, kuva.CodeConflict, err)
		}
		if got != 1 {
			t.Errorf("%d got the name", got)
		}
	})
}
