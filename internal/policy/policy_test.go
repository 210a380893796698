package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva"
)

var (
	nobody = kuva.Principal{}
	reader = kuva.Principal{UserID: "rita", ProjectID: "a", Roles: []string{"reader"}}
	member = kuva.Principal{UserID: "mia", ProjectID: "a", DomainID: "d", Roles: []string{"Member", "reader"}}
	admin  = kuva.Principal{UserID: "root", ProjectID: "r", Roles: []string{"admin", "member", "reader"}, Admin: true}
)

// TestLanguage: what each expression says, of whom and of what.
func TestLanguage(t *testing.T) {
	mine := Target{Project: "a", User: "mia", Domain: "d", Visibility: "shared", Status: "active", Member: "b", MemberStatus: "pending", Protected: true}
	none := Target{}
	for _, tt := range []struct {
		rule string
		who  kuva.Principal
		on   Target
		want bool
	}{
		{"", nobody, none, true},
		{"@", nobody, none, true},
		{"!", admin, mine, false},
		{"not !", nobody, none, true},
		{"NOT !", nobody, none, true},
		{"role:member", member, none, true},
		{"role:MEMBER", member, none, true},
		{"role:member", reader, none, false},
		{"role:admin", kuva.Principal{Admin: true}, none, true},
		{"is_admin:True", admin, none, true},
		{"is_admin:1", member, none, false},
		{"is_admin:False", member, none, true},
		{"user_id:%(user_id)s", member, mine, true},
		{"user_id:%(target.user.id)s", reader, mine, false},
		{"user_id:mia", member, none, true},
		{"project_id:%(owner)s", member, mine, true},
		{"tenant:%(tenant)s", member, mine, true},
		{"project_id:%(owner)s", member, none, false},
		{"project_id:%(owner)s", nobody, none, false}, // nothing equals nothing, but is nobody
		{"project_id:%(owner)s", kuva.Principal{}, Target{Project: ""}, false},
		{"user_domain_id:%(domain_id)s", member, mine, true},
		{"'shared':%(visibility)s", nobody, mine, true},
		{`"public":%(visibility)s`, nobody, mine, false},
		{"'active':%(status)s", nobody, mine, true},
		{"True:%(protected)s", nobody, mine, true},
		{"True:%(protected)s", nobody, none, false},
		{"'pending':%(member_status)s and 'b':%(member_id)s", nobody, mine, true},
		{"'a-mia':%(owner)s-%(user_id)s", nobody, mine, true},
		{"'50%':50%%", nobody, none, true},
		{"'a-mia':%(owner)s-%(user_id)s", nobody, none, false},
		// and before or, not before and
		{"@ or ! and !", nobody, none, true},
		{"(@ or !) and !", nobody, none, false},
		{"! and ! or @", nobody, none, true},
		{"not ! and !", nobody, none, false},
		{"not (! and !)", nobody, none, true},
		{"not not @", nobody, none, true},
		{"((role:member))", member, none, true},
		{"( role:member and ( project_id:%(owner)s ) )", member, mine, true},
		{"role:reader and (project_id:%(owner)s or 'public':%(visibility)s)", reader, Target{Project: "b", Visibility: "public"}, true},
		{"rule:context_is_admin", admin, none, true},
		{"rule:owner_member", reader, mine, false},
	} {
		p, err := With(map[string]string{"get_image": tt.rule})
		if err != nil {
			t.Errorf("%q: %v", tt.rule, err)
			continue
		}
		if got := p.Allows(tt.who, GetImage, tt.on); got != tt.want {
			t.Errorf("%q of %s on %+v: %v", tt.rule, tt.who.UserID, tt.on, got)
		}
	}
}

// TestRefusedRules: what is no rule is refused, and the error helps.
func TestRefusedRules(t *testing.T) {
	for rule, word := range map[string]string{
		"role:":                            "KIND:VALUE",
		"admin":                            "KIND:VALUE",
		"'alone'":                          "KIND:VALUE",
		"role:a role:b":                    "stands where",
		"role:a and":                       "missing at the end",
		"and role:a":                       "missing before",
		"or":                               "missing before",
		"()":                               "missing before",
		"(role:a":                          "closing",
		"role:a)":                          "stands where",
		"http://example.org/%(owner)s":     "not supported",
		"projct_id:%(owner)s":              `"project_id"`,
		"project_id:%(ownr)s":              `"owner"`,
		"project_id:%owner":                "%(NAME)s",
		"project_id:%(owner)":              "%(NAME)s",
		"rule:ownr":                        `"owner"`,
		"rule:get_image":                   "itself",
		"is_admin:perhaps":                 "True or False",
		strings.Repeat("(", 100) + "@":     "inside each other",
		strings.Repeat("not ", 100) + "@":  "inside each other",
		strings.Repeat("@ or ", 600) + "@": "checks",
		strings.Repeat("@ or ", 9000):      "at most",
		"role:\xff":                        "at most",
	} {
		_, err := With(map[string]string{"get_image": rule})
		if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "get_image") {
			t.Errorf("%.80q: %v", rule, err)
		}
	}
}

func TestFile(t *testing.T) {
	mine := Target{Project: "a"}
	p, err := Read([]byte(`
# a site's changes
"publicize_image": "rule:cloud_team"   # a rule of its own
cloud_team: "role:cloud or role:admin"
"add_image": [["role:reader", "project_id:%(owner)s"], ["role:admin"]]
"delete_image": "!"
"get_images": []
"deactivate": [[]]
"reactivate": ["role:member", ["role:admin"]]
`))
	if err != nil {
		t.Fatal(err)
	}
	cloud := kuva.Principal{Roles: []string{"cloud"}}
	for _, tt := range []struct {
		who  kuva.Principal
		rule Rule
		want bool
	}{
		{cloud, PublicizeImage, true},
		{member, PublicizeImage, false},
		{reader, AddImage, true},
		{nobody, AddImage, false},
		{admin, AddImage, true},
		{admin, DeleteImage, false},
		{nobody, GetImages, true},
		{admin, Deactivate, false},
		{member, Reactivate, true},
		{reader, Reactivate, false},
		{member, ModifyImage, true}, // as it was
	} {
		if got := p.Allows(tt.who, tt.rule, mine); got != tt.want {
			t.Errorf("%s of %v: %v", tt.rule, tt.who.Roles, got)
		}
	}
	if !p.Changed(PublicizeImage) || p.Changed(ModifyImage) || Default().Changed(AddImage) {
		t.Error("what was changed is told wrongly")
	}
	// A changed helper changes what refers to it.
	p, err = Read([]byte(`{"context_is_admin": "role:boss"}`))
	if err != nil {
		t.Fatal(err)
	}
	boss := kuva.Principal{Roles: []string{"boss"}}
	if !p.Allows(boss, SetQuota, Target{}) || p.Allows(admin, SetQuota, Target{}) || !p.Changed(SetQuota) || p.Changed(GetImages) {
		t.Error("context_is_admin was not taken over")
	}
	if empty, err := Read(nil); err != nil || empty.Changed(GetImage) {
		t.Errorf("an empty file: %v", err)
	}
}

func TestRefusedFiles(t *testing.T) {
	for file, word := range map[string]string{
		`publisize_image: "role:a"`:      `"publicize_image"`,
		`get_image: 7`:                   "text",
		`get_image:`:                     "nothing stands",
		`get_image: [[7]]`:               "text",
		`get_image: {a: b}`:              "text",
		`- get_image`:                    "map",
		"get_image: '@'\nget_image: '!'": "get_image",
		"a: 'rule:b'\nb: 'rule:a'\nget_image: 'rule:a'": "itself",
		`owner: "rule:owner_member or rule:sees"`:       "itself",
		`get_image: "rule:nothing_at_all"`:              "not there",
		strings.Repeat(" ", maxFile+1):                  "larger",
		"get_image: '@\n":                               "",
		bomb():                                          "checks",
		`get_image: ["(role:a"]`:                        "attribute",
	} {
		_, err := Read([]byte(file))
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%.60q: %v", file, err)
		}
	}
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if _, err := Open(path); err == nil {
		t.Error("opened what is not there")
	}
	if err := os.WriteFile(path, []byte(`nothing: "@"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the error does not name the file: %v", err)
	}
}

// bomb doubles with each rule.
func bomb() string {
	var b strings.Builder
	b.WriteString("get_image: 'rule:x00'\nx20: '!'\n")
	for i := range 20 {
		next := "rule:x" + string(rune('0'+(i+1)/10)) + string(rune('0'+(i+1)%10))
		b.WriteString("x" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + ": '" + next + " or " + next + "'\n")
	}
	return b.String()
}

// TestSeesIsCanSee: the helper "sees" says what kuva.CanSee does, over the
// whole small universe.
func TestSeesIsCanSee(t *testing.T) {
	n := 0
	for _, who := range []kuva.Principal{nobody, reader, member, admin} {
		for _, owner := range []string{"", "a", "b"} {
			for _, v := range []kuva.Visibility{"public", "community", "shared", "private"} {
				for _, m := range []string{"", "a", "c"} {
					img := kuva.Image{Owner: owner, Visibility: v}
					on := Target{Project: owner, Visibility: v}
					var with *kuva.Member
					if m != "" && m == who.ProjectID && v == kuva.VisibilityShared { // as use cases set it
						with, on.Member = &kuva.Member{Project: m}, m
					}
					n++
					if got, want := Default().Allows(who, GetImage, on), kuva.CanSee(who, &img, with); got != want {
						t.Errorf("%+v on %+v: policy %v, CanSee %v", who, on, got, want)
					}
				}
			}
		}
	}
	if n != 144 {
		t.Errorf("%d cases", n)
	}
}

// TestTable: no route and no rule stands twice, and nothing is both free and
// ruled.
func TestTable(t *testing.T) {
	seen := map[string]string{}
	for _, e := range Table {
		once := map[string]bool{}
		for _, r := range e.Routes {
			if once[r] {
				t.Errorf("%s names %s twice", e.Rule, r)
			}
			once[r], seen[r] = true, "Table"
		}
		if len(e.Routes) == 0 {
			t.Errorf("%s stands before no route", e.Rule)
		}
	}
	for where, list := range map[string][]string{"NoToken": NoToken, "AnyToken": AnyToken} {
		for _, r := range list {
			if seen[r] != "" {
				t.Errorf("%s stands in %s and in %s", r, seen[r], where)
			}
			seen[r] = where
			if !Known(r) {
				t.Errorf("%s is not known", r)
			}
		}
	}
	if Known("GET /v2/nothing") {
		t.Error("a route without a rule is known")
	}
	var none *Policy
	if !none.Allows(member, ModifyImage, Target{Project: "a"}) || none.Allows(reader, ModifyImage, Target{Project: "a"}) {
		t.Error("no policy is not the default")
	}
	if Default().Allows(admin, "no_such_rule", Target{}) {
		t.Error("a rule that is not there allows")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "@", "not (role:a or rule:owner) and 'x':%(visibility)s", "((", "is_admin:True", "project_id:%(owner)s-%%", "a:b:c", "role:a or or"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := With(map[string]string{"get_image": s})
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		// Whatever is taken means the same with the parentheses that are
		// implied, and its opposite when it is denied.
		q, err := With(map[string]string{"get_image": "not (" + s + ")"})
		if strings.TrimSpace(s) == "" {
			return
		}
		if err != nil {
			if strings.Contains(err.Error(), "inside each other") || strings.Contains(err.Error(), "at most") {
				return
			}
			t.Fatalf("%q is taken, and not its opposite: %v", s, err)
		}
		for _, who := range []kuva.Principal{nobody, reader, member, admin} {
			on := Target{Project: "a", Visibility: "public"}
			if p.Allows(who, GetImage, on) == q.Allows(who, GetImage, on) {
				t.Errorf("%q and its opposite agree", s)
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`get_image: "@"`))
	f.Add([]byte(`{"a": "rule:a"}`))
	f.Add([]byte("get_image: [[role:a, role:b], []]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := Read(b); err == nil {
			p.Allows(member, GetImage, Target{Project: "a"})
		}
	})
}

func BenchmarkAllows(b *testing.B) {
	on := Target{Project: "x", Visibility: "public"}
	for b.Loop() {
		if !Default().Allows(member, GetImage, on) {
			b.Fatal("refused")
		}
	}
}
