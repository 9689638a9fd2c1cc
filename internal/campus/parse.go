package campus

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	campusfiles "github.com/gatehouse-id/gatehouse/campus"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/yamlfile"
)

type duration = yamlfile.Duration

// Parse reads a campus file; name is how it is called in errors. The error is yamlfile.Errors.
func Parse(name string, src []byte) (Campus, error) {
	var w file
	f, err := yamlfile.Decode(name, src, &w)
	if err != nil {
		return Campus{}, err
	}
	r := reader{file: f}
	c := r.campus(w)
	if err := f.Err(); err != nil {
		return Campus{}, err
	}
	return c, nil
}

// Builtin gives a campus that comes with Gatehouse.
func Builtin(name string) (Campus, error) {
	src, err := campusfiles.Files.ReadFile(name + ".yaml")
	if errors.Is(err, fs.ErrNotExist) || err != nil && !fs.ValidPath(name) {
		return Campus{}, fmt.Errorf("there is no campus %q; there are %s", name, strings.Join(Names(), ", "))
	}
	if err != nil {
		return Campus{}, err
	}
	return Parse("campus/"+name+".yaml", src)
}

// Names lists the built-in campuses.
func Names() []string {
	entries, _ := fs.Glob(campusfiles.Files, "*.yaml")
	for i, e := range entries {
		entries[i] = strings.TrimSuffix(e, ".yaml")
	}
	return entries
}

// reader turns what was written into what is meant, and notes what cannot be.
type reader struct{ file *yamlfile.File }

var (
	idForm      = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	colourForm  = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	pathForm    = regexp.MustCompile(`^[MmZzLlHhVvCcSsQqTtAa0-9 ,.eE+\-\n]+$`)
	boxForm     = regexp.MustCompile(`^-?[0-9.]+ -?[0-9.]+ [0-9.]+ [0-9.]+$`)
	mailForm    = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)
)

func (r reader) campus(w file) Campus {
	c := Campus{ID: w.ID, Name: w.Name, Accent: w.Accent, Help: Help(w.Help)}
	if !idForm.MatchString(w.ID) {
		r.file.At("id", "write lower-case letters, digits and hyphens, like my-campus")
	}
	if strings.TrimSpace(w.Name) == "" {
		r.file.At("name", "write the institution's name")
	}
	if w.Accent != "" && !colourForm.MatchString(w.Accent) {
		r.file.At("accent", "write a colour as \"#rrggbb\", in quotes")
	}
	if w.Logo != nil {
		c.Logo = r.logo(*w.Logo)
	}
	if w.Help.URL != "" && !isLink(w.Help.URL) {
		r.file.At("help.url", "write an https:// address")
	}
	if w.Help.Mail != "" && !mailForm.MatchString(w.Help.Mail) {
		r.file.At("help.mail", "write one e-mail address")
	}
	c.Groups = r.groups(w.Groups)
	c.Policy = r.policy(w.Policy, c.Groups)
	c.Limits = r.limits(w.Limits)
	c.Applications = r.applications(w.Applications)
	r.namesOf(w.Policy.Rules, w.Applications)
	r.heldOf(w.Policy.First, w.Applications)
	c.Demo = r.demo(w.Demo, c)
	return c
}

func (r reader) logo(w fileLogo) *Logo {
	if !pathForm.MatchString(w.Path) {
		r.file.At("logo.path", "write the data of one SVG path: letters of path commands and numbers")
	}
	if w.ViewBox == "" {
		w.ViewBox = "0 0 24 24"
	}
	if !boxForm.MatchString(w.ViewBox) {
		r.file.At("logo.view_box", "write four numbers, like 0 0 24 24")
	}
	return &Logo{Path: w.Path, ViewBox: w.ViewBox}
}

func (r reader) groups(w []fileGroup) []Group {
	var out []Group
	for i, g := range w {
		at := fmt.Sprintf("groups[%d].name", i)
		if !idForm.MatchString(g.Name) {
			r.file.At(at, "write lower-case letters, digits and hyphens, like it-administrators")
		}
		if slices.ContainsFunc(out, func(have Group) bool { return have.Name == g.Name }) {
			r.file.At(at, "this group stands here twice: remove one")
		}
		if g.Label == "" {
			g.Label = g.Name
		}
		out = append(out, Group(g))
	}
	return out
}

// kinds are all, leads those that may lead (fallbacks never do), several those that one person may have a number of.
var (
	kinds   = []method.Kind{method.Password, method.Passkey, method.App, method.TOTP, method.Phone, method.Recovery}
	leads   = slices.DeleteFunc(slices.Clone(kinds), method.Kind.Fallback)
	several = []method.Kind{method.Passkey, method.App, method.TOTP, method.Phone}
)

// kind reads a method's name.
func (r reader) kind(path, name string, of ...method.Kind) method.Kind {
	if len(of) == 0 {
		of = kinds
	}
	if !slices.Contains(of, method.Kind(name)) {
		r.file.At(path, "%q is no method here: write %s", name, list(of))
	}
	return method.Kind(name)
}

func (r reader) limits(w map[string]int) map[method.Kind]int {
	out := map[method.Kind]int{}
	for name, n := range w {
		at := "limits." + name
		k := r.kind(at+".key", name, several...)
		if n < 1 || n > 50 {
			r.file.At(at, "write a number from 1 to 50")
		}
		out[k] = n
	}
	return out
}

func list[T ~string](names []T) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}

func (r reader) policy(w filePolicy, groups []Group) policy.Policy {
	p := policy.Policy{
		SessionIdle: w.Session.Idle.Std(), SessionMax: w.Session.Max.Std(), Strengths: map[policy.Strength][]policy.Combination{},
	}
	if p.SessionIdle == 0 {
		p.SessionIdle = policy.DefaultSessionIdle
	}
	if p.SessionMax == 0 {
		p.SessionMax = policy.DefaultSessionMax
	}
	for i, l := range w.Leads {
		p.Leads = append(p.Leads, r.kind(fmt.Sprintf("policy.leads[%d]", i), l, leads...))
	}
	p.App = r.app(w.App)
	if w.First != nil {
		p.FirstEnrolment = r.firstEnrolment(*w.First)
	}
	for name, combinations := range w.Strengths {
		p.Strengths[policy.Strength(name)] = r.combinations("policy.strengths."+name, combinations)
	}
	p.ACR = acrNames(w.ACR)
	for i, rule := range w.Rules {
		p.Rules = append(p.Rules, r.rule(fmt.Sprintf("policy.rules[%d]", i), rule, groups))
	}
	if len(w.Rules) == 0 {
		r.file.At("policy.rules", "write at least one rule")
	}
	r.report(policy.Check(p), len(w.ACR))
	return p
}

// acrNames puts the file's names before the built-in ones; a name that the file gives again is the file's.
func acrNames(w []fileACR) []policy.ACRName {
	var out []policy.ACRName
	for _, a := range w {
		out = append(out, policy.ACRName{Name: a.Name, Strength: policy.Strength(a.Strength)})
	}
	for _, b := range policy.BuiltinACR() {
		if !slices.ContainsFunc(w, func(a fileACR) bool { return a.Name == b.Name }) {
			out = append(out, b)
		}
	}
	return out
}

func (r reader) combinations(path string, w [][]fileProof) []policy.Combination {
	var out []policy.Combination
	for i, proofs := range w {
		var c policy.Combination
		for j, m := range proofs {
			match := policy.ProofMatch{PhishingResistant: m.PhishingResistant, UserVerified: m.UserVerified,
				DeviceBound: m.DeviceBound, Attested: m.Attested, Models: m.Models}
			for k, name := range m.Kinds {
				match.Kinds = append(match.Kinds, r.kind(fmt.Sprintf("%s[%d][%d].kinds[%d]", path, i, j, k), name))
			}
			c = append(c, match)
		}
		out = append(out, c)
	}
	return out
}

func (r reader) rule(path string, w fileRule, groups []Group) policy.Rule {
	state := policy.RuleState(w.State)
	if state == "" {
		state = policy.RuleOn
	}
	for field, names := range map[string][]string{"groups": w.People.Groups, "except.groups": w.People.Except.Groups} {
		for i, g := range names {
			if !slices.ContainsFunc(groups, func(have Group) bool { return have.Name == g }) {
				r.file.At(fmt.Sprintf("%s.people.%s[%d]", path, field, i), "there is no group %q: add it under groups, or write one that is there", g)
			}
		}
	}
	for field, names := range map[string][]string{"roles": w.People.Roles, "except.roles": w.People.Except.Roles} {
		for i, role := range names {
			r.role(fmt.Sprintf("%s.people.%s[%d]", path, field, i), role)
		}
	}
	var acts []policy.Act
	for _, a := range w.Acts {
		acts = append(acts, policy.Act(a))
	}
	return policy.Rule{
		Name: w.Name, State: state, People: w.People.match(), Applications: w.Applications.match(), Acts: acts,
		Grant: policy.Grant{
			Block: w.Block, Strength: policy.Strength(w.Strength), Freshness: policy.Freshness(w.Fresh),
			RememberSet: w.Remember.set, Remember: w.Remember.d,
		},
	}
}

func (m fileMatch) match() policy.Match {
	return policy.Match{
		Groups: m.Groups, Roles: m.Roles, Names: m.Names, Categories: m.Categories,
		ExceptGroups: m.Except.Groups, ExceptRoles: m.Except.Roles, ExceptNames: m.Except.Names, ExceptCategories: m.Except.Categories,
	}
}

// report puts what policy.Check found where it was written. acrs is how many names of assurance the file gives.
func (r reader) report(err error, acrs int) {
	var problems policy.Problems
	if !errors.As(err, &problems) {
		return
	}
	for _, p := range problems {
		switch {
		case p.Field == "first_enrolment": // the reader has said it, each thing at its place
		case p.Rule >= 0:
			r.file.At(fmt.Sprintf("policy.rules[%d].%s", p.Rule, p.Field), "%s", p.Text)
		case p.Field == "strengths":
			r.file.At("policy.strengths."+p.Name+".key", "%s", p.Text)
		case p.Field == "acr" && acrs > 0:
			r.file.At("policy.acr", "%q: %s", p.Name, p.Text)
		default:
			r.file.At("policy."+p.Field, "%s", p.Text)
		}
	}
}
