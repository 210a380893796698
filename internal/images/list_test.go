package images_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/images"
)

// TestSightInGoAndSQL: who sees what is said twice, in kuva.CanSee and in the
// lists' SQL. Both say the same over the whole small universe.
func TestSightInGoAndSQL(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		type made struct {
			img    *kuva.Image
			member map[string]kuva.MemberStatus
		}
		var all []made
		err := w.db.Update(ctx, func(tx *catalog.Tx) error {
			all = nil
			n := 0
			for _, owner := range []string{"a", "b"} {
				for _, v := range []kuva.Visibility{"public", "community", "shared", "private"} {
					for _, status := range []kuva.MemberStatus{"", "pending", "accepted", "rejected"} {
						for _, member := range []string{"a", "b", "c"} {
							n++
							m := &catalog.Image{Image: kuva.Image{
								ID: fmt.Sprintf("img-%03d", n), Owner: owner, Visibility: v, Status: kuva.StatusQueued, Version: 1,
								CreatedAt: w.now(),
							}, CardVersion: 1}
							if err := catalog.InsertImage(ctx, tx, m); err != nil {
								return err
							}
							one := made{img: &m.Image, member: map[string]kuva.MemberStatus{}}
							if status != "" {
								one.member[member] = status
								if err := catalog.PutMember(ctx, tx, m, &kuva.Member{Project: member, Status: status}); err != nil {
									return err
								}
							}
							all = append(all, one)
						}
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		nobody := kuva.Principal{UserID: "nobody"}
		for _, p := range []kuva.Principal{alice, bob, carol, root, nobody} {
			listed := map[string]bool{}
			page, err := w.List(ctx, p, images.Query{Limit: 1000, Visibility: "all", MemberStatus: "all"})
			if err != nil {
				t.Fatal(err)
			}
			for _, img := range page {
				if listed[img.ID] {
					t.Errorf("%s sees %s twice", p.UserID, img.ID)
				}
				listed[img.ID] = true
			}
			for _, m := range all {
				var member *kuva.Member
				if s := m.member[p.ProjectID]; s != "" {
					member = &kuva.Member{Image: m.img.ID, Project: p.ProjectID, Status: s}
				}
				can := kuva.CanSee(p, m.img, member)
				_, err := w.Show(ctx, p, m.img.ID)
				if (err == nil) != can || listed[m.img.ID] != can {
					t.Errorf("%s, %s of %s, members %v: may see %v, shown %v, listed %v",
						p.UserID, m.img.Visibility, m.img.Owner, m.member, can, err == nil, listed[m.img.ID])
				}
			}
		}
		// The rows were not made by Create, which counts.
		_ = w.db.Update(ctx, func(tx *catalog.Tx) error {
			for _, p := range []string{"a", "b"} {
				if err := catalog.AddUse(ctx, tx, p, catalog.QuotaUse{Images: 48}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// model is a list as it should be, by going through everything.
func model(all []*catalog.Image, members map[string]map[string]string, p kuva.Principal, q images.Query) []string {
	sees := func(m *catalog.Image) bool {
		own := m.Owner == p.ProjectID
		status := members[m.ID][p.ProjectID]
		wanted := q.MemberStatus == "all" && status != "" || status == cmp.Or(q.MemberStatus, "accepted")
		shared := m.Visibility == "shared" && (own || p.Admin || wanted)
		switch q.Visibility {
		case "":
			if p.Admin {
				return m.Visibility != "community" || own
			}
			return own || m.Visibility == "public" || shared
		case "all":
			return p.Admin || own || m.Visibility == "public" || m.Visibility == "community" || shared
		case "private":
			return m.Visibility == "private" && (own || p.Admin)
		case "shared":
			return shared
		}
		return string(m.Visibility) == q.Visibility
	}
	in := func(list []string, v string) bool { return list == nil || slices.Contains(list, v) }
	var out []*catalog.Image
	for _, m := range all {
		ok := sees(m) && m.Hidden == q.Hidden && in(q.Name, m.Name) && in(q.Status, string(m.Status)) && in(q.DiskFormat, m.DiskFormat) &&
			(q.Owner == "" || m.Owner == q.Owner) && (q.Protected == nil || *q.Protected == m.Protected)
		if v, set := q.Min["size"]; set {
			ok = ok && m.Size >= v
		}
		if v, set := q.Max["size"]; set {
			ok = ok && m.Size >= 0 && m.Size <= v
		}
		for _, tag := range q.Tags {
			ok = ok && slices.Contains(m.Tags, tag)
		}
		for k, v := range q.Properties {
			got, there := m.Properties[k]
			ok = ok && there && got == v
		}
		for _, f := range q.Created {
			a, b := m.CreatedAt.Unix(), f.At.Unix()
			ok = ok && map[string]bool{"gt": a > b, "gte": a >= b, "lt": a < b, "lte": a <= b, "eq": a == b, "neq": a != b}[f.Op]
		}
		if ok {
			out = append(out, m)
		}
	}
	keys := slices.Clone(q.Sort)
	desc := true
	if len(keys) > 0 {
		desc = keys[0].Desc
		for _, k := range keys {
			if k.Desc != desc {
				desc = true
				break
			}
		}
	}
	keys = append(keys, images.Sort{Key: "created_at", Desc: desc}, images.Sort{Key: "id", Desc: desc})
	slices.SortFunc(out, func(x, y *catalog.Image) int {
		for _, k := range keys {
			var c int
			switch k.Key {
			case "name":
				c = cmp.Compare(x.Name, y.Name)
			case "status":
				c = cmp.Compare(x.Status, y.Status)
			case "disk_format":
				c = cmp.Compare(x.DiskFormat, y.DiskFormat)
			case "container_format":
				c = cmp.Compare(x.ContainerFormat, y.ContainerFormat)
			case "size":
				c = cmp.Compare(x.Size, y.Size)
			case "created_at":
				c = x.CreatedAt.Compare(y.CreatedAt)
			case "updated_at":
				c = x.UpdatedAt.Compare(y.UpdatedAt)
			case "id":
				c = cmp.Compare(x.ID, y.ID)
			}
			if k.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	ids := []string{}
	for _, m := range out {
		ids = append(ids, m.ID)
	}
	return ids
}

// TestListModel compares pages over random images, in random orders and with
// random filters, with a model.
func TestListModel(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		s := images.New(images.Config{DB: db})
		r := rand.New(rand.NewPCG(1, 2))
		one := func(list ...string) string { return list[r.IntN(len(list))] }
		base := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
		var all []*catalog.Image
		members := map[string]map[string]string{}
		for i := range 400 {
			m := &catalog.Image{Image: kuva.Image{
				ID: fmt.Sprintf("%08x-%d", r.Uint32(), i), Name: one("ant", "bee", "cow", "dog, cat"), Owner: one("a", "b", "c", "admin"),
				Visibility: kuva.Visibility(one("public", "community", "shared", "shared", "private")),
				Status:     kuva.Status(one("queued", "active", "deactivated")), DiskFormat: one("raw", "qcow2", ""), ContainerFormat: one("bare", "ovf"),
				Hidden: r.IntN(8) == 0, Protected: r.IntN(2) == 0, Size: r.Int64N(5) - 1, Version: 1,
				CreatedAt: base.Add(time.Duration(r.IntN(4000)) * time.Millisecond), UpdatedAt: base.Add(time.Duration(r.IntN(3)) * time.Hour),
				Properties: map[string]string{"os_distro": one("debian", "fedora")},
			}}
			for _, tag := range []string{"x", "y"} {
				if r.IntN(2) == 0 {
					m.Tags = append(m.Tags, tag)
				}
			}
			if i == 77 {
				m.Tags, m.Visibility = append(m.Tags, "rare"), "public"
			}
			all = append(all, m)
			members[m.ID] = map[string]string{}
			for _, p := range []string{"a", "b"} {
				if r.IntN(2) == 0 {
					members[m.ID][p] = one("pending", "accepted", "accepted", "rejected")
				}
			}
		}
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			for _, m := range all {
				if err := catalog.InsertImage(ctx, tx, m); err != nil {
					return err
				}
				for p, status := range members[m.ID] {
					if err := catalog.PutMember(ctx, tx, m, &kuva.Member{Project: p, Status: kuva.MemberStatus(status)}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			p := []kuva.Principal{alice, bob, carol, root}[r.IntN(4)]
			q := images.Query{Limit: 1 + r.IntN(60), Hidden: r.IntN(6) == 0}
			for range r.IntN(3) {
				q.Sort = append(q.Sort, images.Sort{
					Key: one("name", "status", "disk_format", "container_format", "size", "id", "created_at", "updated_at"), Desc: r.IntN(2) == 0,
				})
			}
			maybe := func(f func()) {
				if r.IntN(5) == 0 {
					f()
				}
			}
			maybe(func() { q.Visibility = one("public", "private", "shared", "community", "all") })
			maybe(func() { q.MemberStatus = one("pending", "accepted", "rejected", "all") })
			maybe(func() { q.Name = []string{"bee", "dog, cat"}[:1+r.IntN(2)] })
			maybe(func() { q.Status = []string{"active"} })
			maybe(func() { q.DiskFormat = []string{"raw", "iso"} })
			maybe(func() { q.Owner = one("a", "b", "z") })
			maybe(func() { q.Tags = [][]string{{"x"}, {"x", "y"}, {"rare"}, {"none"}}[r.IntN(4)] })
			maybe(func() { q.Properties = map[string]string{"os_distro": one("debian", "none")} })
			maybe(func() { q.Min = map[string]int64{"size": 1} })
			maybe(func() { q.Max = map[string]int64{"size": 2} })
			maybe(func() { yes := r.IntN(2) == 0; q.Protected = &yes })
			maybe(func() {
				q.Created = []images.TimeFilter{{Op: one("gt", "gte", "lt", "lte", "eq", "neq"), At: base.Add(2300 * time.Millisecond)}}
			})
			want := model(all, members, p, q)
			got := []string{}
			for pages := 0; pages < 500; pages++ {
				page, err := s.List(ctx, p, q)
				if err != nil {
					t.Fatalf("%+v: %v", q, err)
				}
				for _, img := range page {
					got = append(got, img.ID)
					q.Marker = img.ID
				}
				if len(page) < q.Limit {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s asks %+v\ngot  %d %v\nwant %d %v", p.UserID, q, len(got), got, len(want), want)
			}
		}
	})
}

func TestListRefusals(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, q := range []images.Query{
			{Limit: -1},
			{Limit: 1, Marker: "unknown"},
			{Limit: 1, Marker: "a\x00b"},
			{Limit: 1, Sort: []images.Sort{{Key: "owner"}}},
			{Limit: 1, Sort: []images.Sort{{Key: "name; DROP TABLE image"}}},
			{Limit: 1, Visibility: "secret' OR 'a' = 'a"},
			{Limit: 1, MemberStatus: "maybe"},
			{Limit: 1, Created: []images.TimeFilter{{Op: "like"}}},
			{Limit: 1, Created: []images.TimeFilter{{Op: "gt", At: time.Unix(1<<60, 0)}}},
			{Limit: 1, Min: map[string]int64{"lease": 1}},
			{Limit: 1, Name: []string{"\xff"}},
			{Limit: 1, Properties: map[string]string{"a\x00": "b"}},
		} {
			_, err := w.List(ctx, alice, q)
			want(t, err, kuva.CodeInvalid)
		}
		for range 3 {
			w.create(alice, images.NewImage{})
		}
		page, err := w.List(ctx, alice, images.Query{Limit: 2})
		if err != nil || len(page) != 2 {
			t.Fatalf("%d %v", len(page), err)
		}
		// A marker that is deleted between two pages still marks.
		if err := w.Delete(ctx, alice, page[1].ID); err != nil {
			t.Fatal(err)
		}
		if page, err = w.List(ctx, alice, images.Query{Limit: 2, Marker: page[1].ID}); err != nil || len(page) != 1 {
			t.Fatalf("%d %v", len(page), err)
		}
		if page, err = w.List(ctx, alice, images.Query{Limit: 0}); err != nil || len(page) != 0 {
			t.Fatalf("%d %v", len(page), err)
		}
	})
}

// fill makes n images: most of many projects, some public, 100 of project a,
// 100 shared with it.
func fill(tb testing.TB, db *catalog.DB, n int) (ids []string) {
	tb.Helper()
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(3, 4))
	for from := 0; from < n; from += 20_000 {
		err := db.Update(context.Background(), func(tx *catalog.Tx) error {
			for i := from; i < min(n, from+20_000); i++ {
				m := &catalog.Image{Image: kuva.Image{
					ID: fmt.Sprintf("%08x-%04x-4000-8000-%012x", i, r.Uint32()&0xffff, i), Name: fmt.Sprintf("image %d", r.IntN(n)),
					Owner: fmt.Sprintf("p%d", r.IntN(1000)), Visibility: kuva.VisibilityPrivate, Status: kuva.StatusActive,
					DiskFormat: "qcow2", ContainerFormat: "bare", Size: r.Int64N(1 << 30), VirtualSize: -1, MD5: strings.Repeat("a", 32),
					HashAlgo: "sha512", HashValue: strings.Repeat("b", 128), Object: 0, Version: 1,
					Properties: map[string]string{"os_distro": "debian"},
					CreatedAt:  base.Add(time.Duration(i) * time.Second), UpdatedAt: base,
				}, CardVersion: 1}
				every := n / 100
				switch i % every {
				case 0:
					m.Owner = "a"
				case 1:
					m.Visibility = kuva.VisibilityShared
				default:
					if r.IntN(5) == 0 {
						m.Visibility = kuva.VisibilityPublic
					}
				}
				if err := catalog.InsertImage(context.Background(), tx, m); err != nil {
					return err
				}
				if i%every == 1 {
					err := catalog.PutMember(context.Background(), tx, m, &kuva.Member{Project: "a", Status: kuva.MemberAccepted})
					if err != nil {
						return err
					}
				}
				if m.Owner == "a" || m.Visibility != kuva.VisibilityPrivate {
					ids = append(ids, m.ID)
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return ids
}

func benchList(b *testing.B, n int) {
	db := catalogtest.SQLite(b)
	ids := fill(b, db, n)
	s := images.New(images.Config{DB: db})
	b.Run("show", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := s.Show(ctx, alice, ids[i*7919%len(ids)]); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	})
	for name, q := range map[string]images.Query{
		"list":         {Limit: 20},
		"list-by-name": {Limit: 20, Sort: []images.Sort{{Key: "name"}}},
		"list-deep":    {Limit: 20, Marker: ids[len(ids)/2]},
		"list-public":  {Limit: 20, Visibility: "public"},
		"list-private": {Limit: 20, Visibility: "private"},
		"list-shared":  {Limit: 20, Visibility: "shared"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			took := make(chan time.Duration, 1<<20)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					start := time.Now()
					page, err := s.List(ctx, alice, q)
					if err != nil || len(page) != 20 {
						b.Errorf("%d images: %v", len(page), err)
						return
					}
					took <- time.Since(start)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
			close(took)
			var all []time.Duration
			for d := range took {
				all = append(all, d)
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
		})
	}
}

func Benchmark5k(b *testing.B) { benchList(b, 5000) }

func Benchmark1M(b *testing.B) { benchList(b, 1_000_000) }
