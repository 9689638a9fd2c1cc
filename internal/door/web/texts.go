package web

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/mileusna/useragent"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

//go:embed locale/*.yaml
var localeFiles embed.FS

// Texts is the language catalogue. Every text stands in locale/<language>.yaml with a note for the translator.
// It is read-only after LoadTexts and safe for concurrent use.
type Texts struct {
	matcher language.Matcher
	langs   []string
	// plain holds the texts that need no parameters, so that pages need not go through the bundle.
	plain map[string]map[string]string
	// parts are the texts with parameters, cut at them: no template runs for them.
	parts map[string]map[string][]part
	all   map[string]*i18n.Localizer
	known map[string]bool

	// campus and domain say in messages who writes, and which page a code is for.
	campus, domain string
}

// LoadTexts reads the catalogue that is built in.
func LoadTexts() (*Texts, error) {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("yaml", readCatalogue)
	names, err := fs.Glob(localeFiles, "locale/*.yaml")
	if err != nil {
		return nil, err
	}
	t := &Texts{plain: map[string]map[string]string{}, parts: map[string]map[string][]part{}, all: map[string]*i18n.Localizer{}, known: map[string]bool{}}
	tags := []language.Tag{language.English}
	for _, name := range names {
		raw, err := localeFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := bundle.ParseMessageFileBytes(raw, name)
		if err != nil {
			return nil, fmt.Errorf("web: %s: %w", name, err)
		}
		lang := strings.TrimSuffix(path.Base(name), ".yaml")
		t.langs = append(t.langs, lang)
		if lang != "en" {
			tags = append(tags, language.Make(lang))
		}
		plain, parts := map[string]string{}, map[string][]part{}
		for _, m := range file.Messages {
			t.known[m.ID] = true
			if m.One != "" {
				continue // a plural form: the bundle chooses it
			}
			if cuts := cut(m.Other); len(cuts) == 1 && cuts[0].name == "" {
				plain[m.ID] = m.Other
			} else {
				parts[m.ID] = cuts
			}
		}
		t.plain[lang], t.parts[lang] = plain, parts
		t.all[lang] = i18n.NewLocalizer(bundle, lang)
	}
	t.matcher = language.NewMatcher(tags)
	return t, nil
}

// Locale chooses the language for an Accept-Language or ui_locales value; English where nothing fits.
func (t *Texts) Locale(accept string) string {
	if accept == "" || len(t.langs) == 1 {
		return "en"
	}
	if len(accept) > 200 {
		accept = accept[:200]
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return "en"
	}
	tag, _, _ := t.matcher.Match(wanted...)
	base, _ := tag.Base()
	if _, ok := t.all[base.String()]; ok {
		return base.String()
	}
	return "en"
}

// Languages lists what there is.
func (t *Texts) Languages() []string { return t.langs }

// Has reports whether a key is in the catalogue.
func (t *Texts) Has(key string) bool { return t.known[key] }

// Keys lists the keys under a prefix, sorted.
func (t *Texts) Keys(prefix string) []string {
	var out []string
	for k := range maps.Keys(t.known) {
		if strings.HasPrefix(k, prefix) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// Text gives a text. A key that is missing shows itself in brackets: a test finds those before anybody else does.
func (t *Texts) Text(lang, key string, params map[string]any) string {
	if s, ok := t.plain[lang][key]; ok {
		return s
	}
	if parts, ok := t.parts[lang][key]; ok {
		return join(parts, params)
	}
	return t.localise(lang, &i18n.LocalizeConfig{MessageID: key, TemplateData: params})
}

// part is a piece of a text: words, or the name of a parameter.
type part struct{ words, name string }

var parameter = regexp.MustCompile(`\{\{\.([A-Za-z]+)\}\}`)

// cut takes a text apart at its parameters.
func cut(text string) []part {
	var out []part
	at := 0
	for _, m := range parameter.FindAllStringSubmatchIndex(text, -1) {
		if m[0] > at {
			out = append(out, part{words: text[at:m[0]]})
		}
		out = append(out, part{name: text[m[2]:m[3]]})
		at = m[1]
	}
	if at < len(text) || len(out) == 0 {
		out = append(out, part{words: text[at:]})
	}
	return out
}

// join fills parameters in; one that is not given becomes "…".
func join(parts []part, params map[string]any) string {
	var b strings.Builder
	for _, p := range parts {
		if p.name == "" {
			b.WriteString(p.words)
			continue
		}
		switch v := params[p.name].(type) {
		case nil:
			b.WriteString("…")
		case string:
			b.WriteString(v)
		default:
			fmt.Fprint(&b, v)
		}
	}
	return b.String()
}

// Count gives a text in the plural form for n, which the text calls {{.Count}}.
func (t *Texts) Count(lang, key string, n int) string {
	return t.localise(lang, &i18n.LocalizeConfig{MessageID: key, PluralCount: n, TemplateData: map[string]any{"Count": n}})
}

func (t *Texts) localise(lang string, c *i18n.LocalizeConfig) string {
	l, ok := t.all[lang]
	if !ok {
		l = t.all["en"]
	}
	s, err := l.Localize(c)
	if err != nil && s == "" {
		return "[" + c.MessageID + "]"
	}
	return s
}

// Fault gives a fault's text: the catalogue's, else the fault's own English sentence.
func (t *Texts) Fault(lang string, f *fault.Error) string {
	if key := "error." + f.Code; t.Has(key) {
		return t.Text(lang, key, f.Params)
	}
	return f.Public
}

// Notice gives the subject and the plain text of a mail. A kind without a text of its own gets the general one,
// which says where to look. Of the parameters, "at" (RFC 3339) is given as "when", "agent" as "browser" and the
// kind "method" by its name; line breaks do not get into the subject.
func (t *Texts) Notice(kind, locale string, params map[string]string) (subject, body string) {
	lang := t.Locale(locale)
	key := "notice." + kind
	if !t.Has(key + ".subject") {
		key = "notice.general"
	}
	data := make(map[string]any, len(params)+2)
	for k, v := range params {
		data[k] = strings.Map(printable, v)
	}
	data["when"] = ""
	if at, err := time.Parse(time.RFC3339, params["at"]); err == nil {
		data["when"] = when(at).Text
	}
	data["Campus"], data["Domain"] = t.campus, t.domain
	data["browser"], _ = t.Agent(lang, params["agent"])
	if k := "method." + params["method"] + ".name"; t.Has(k) {
		data["method"] = t.Text(lang, k, nil)
	}
	data["what"] = data["method"]
	if name := data["label"]; name != nil && name != "" && name != params["method"] && name != data["method"] {
		data["what"] = t.Text(lang, "method.labelled", map[string]any{"Name": name, "Kind": data["method"]})
	}
	subject, body = t.Text(lang, key+".subject", data), t.Text(lang, key+".body", data)
	if t.domain == "" { // a code that is bound to no page is better bound to none than to a wrong one
		body, _, _ = strings.Cut(body, "\n\n@")
	}
	return subject, body
}

// printable drops what could begin a new line or an order to a terminal (attack G134).
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}

// Agent names a browser in words ("Chrome on Windows"); small for phones and tablets. Labels only: nothing is decided
// by them.
func (t *Texts) Agent(lang, raw string) (label string, small bool) {
	if raw == "" {
		return t.Text(lang, "agent.unknown", nil), false
	}
	ua := useragent.Parse(raw)
	switch {
	case ua.Name == "":
		return t.Text(lang, "agent.unknown", nil), false
	case ua.OS == "":
		return ua.Name, ua.Mobile || ua.Tablet
	}
	return t.Text(lang, "agent.on", map[string]any{"Browser": ua.Name, "System": ua.OS}), ua.Mobile || ua.Tablet
}

// Reason gives a policy reason in words and its rule's name as people may read it.
func (t *Texts) Reason(lang string, r policy.Reason) Why {
	p := map[string]any{}
	maps.Copy(p, r.Params)
	if s, ok := r.Params["strength"].(string); ok {
		p["Level"] = s
		if t.Has("strength." + s) {
			p["Level"] = t.Text(lang, "strength."+s, nil)
		}
	}
	if n, ok := r.Params["minutes"].(int); ok {
		p["Age"] = t.age(lang, n)
	}
	w := Why{Text: t.Text(lang, "reason."+r.Code, p), Rule: r.Rule}
	if key, ok := builtInRules[r.Rule]; ok {
		w.Rule = t.Text(lang, key, nil)
	}
	return w
}

var builtInRules = map[string]string{
	policy.RuleDefault: "rule.default", policy.RuleDemand: "rule.demand", policy.RuleAct: "rule.act",
	policy.RulePassword: "rule.password", policy.RuleAccount: "rule.account",
	policy.RuleReported: "rule.reported", policy.RuleHold: "rule.hold",
}

// Country names a country by its ISO 3166-1 code in the reader's language, the code itself where it has no name.
func (t *Texts) Country(lang, code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := display.Regions(language.Make(lang)).Name(region); name != "" {
		return name
	}
	return code
}

func (t *Texts) age(lang string, minutes int) string {
	switch {
	case minutes > 0 && minutes%(24*60) == 0:
		return t.Count(lang, "age.days", minutes/(24*60))
	case minutes > 0 && minutes%60 == 0:
		return t.Count(lang, "age.hours", minutes/60)
	}
	return t.Count(lang, "age.minutes", minutes)
}

// pairs turns "Key", value, … into parameters for a template's t.
func pairs(args []any) (map[string]any, error) {
	if len(args)%2 != 0 {
		return nil, fmt.Errorf("web: t takes pairs of name and value")
	}
	m := make(map[string]any, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		name, ok := args[i].(string)
		if !ok {
			return nil, fmt.Errorf("web: t takes pairs of name and value")
		}
		m[name] = args[i+1]
	}
	return m, nil
}

// funcs are what templates may call, in one language.
func (t *Texts) funcs(lang string, static func(string) string) template.FuncMap {
	return template.FuncMap{
		"t": func(key string, args ...any) (string, error) {
			p, err := pairs(args)
			if err != nil {
				return "", err
			}
			return t.Text(lang, key, p), nil
		},
		"tn":        func(key string, n int) string { return t.Count(lang, key, n) },
		"icon":      icon,
		"smallicon": smallIcon,
		"kindicon":  kindIcon,
		"static":    static,
	}
}
