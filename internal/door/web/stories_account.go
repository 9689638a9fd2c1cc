package web

import (
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

var storyTime = time.Date(2026, 11, 20, 9, 41, 0, 0, time.UTC)

func storySecurity(p *Pages) *securityPage {
	used, fresh := when(storyTime), when(storyTime.Add(-time.Hour))
	t := func(key string) string { return p.Texts.Text("en", key, nil) }
	v := &securityPage{Name: "Ada Example", CanLead: true, RefreshedAt: &fresh}
	v.Title, v.SignedIn, v.Wide = t("security.title"), true, true
	v.Methods = []methodRow{
		{ID: "a", Name: "Password", KindName: t("method.password.name"), Kind: method.Password, Password: true, Added: day(storyTime.AddDate(-1, 0, 0)), Used: &used},
		{ID: "b", Name: "Blue phone", KindName: t("method.passkey.name"), Kind: method.Passkey, Leads: true, Removable: true, Added: day(storyTime.AddDate(0, -4, 0)), Used: &used},
		{ID: "c", Name: "Passcodes on the blue phone", KindName: t("method.totp.name"), Kind: method.TOTP, Removable: true, Added: day(storyTime.AddDate(0, 0, -2))},
	}
	v.Sessions = []sessionRow{
		{ID: "s1", Agent: "Firefox on Windows", Icon: "computer", Address: "192.0.2.17", Here: true, Since: when(storyTime)},
		{ID: "s2", Agent: "Safari on iOS", Icon: "mobile", Address: "2001:db8::17", Since: when(storyTime.Add(-26 * time.Hour))},
	}
	v.Browsers = []browserRow{{ID: "f1", Agent: "Firefox on Windows", Here: true, Until: day(storyTime.AddDate(0, 0, 27))}}
	v.Recent = []recentRow{
		{ID: "n:7", What: p.Texts.Text("en", "recent.signin.finished.app", map[string]any{"Application": "Library"}), Where: "Firefox on Windows, 192.0.2.17", At: when(storyTime)},
		{ID: "n:6", What: t("recent.signin.proof.failed.password"), Bad: true, Where: "Chrome on Android, 198.51.100.4", At: when(storyTime.Add(-3 * time.Hour))},
		{ID: "n:5", What: t("recent.method.added"), Where: "Firefox on Windows, 192.0.2.17", At: when(storyTime.AddDate(0, 0, -2))},
	}
	return v
}

func storyEnrol(p *Pages, k method.Kind) *enrolPage {
	v := &enrolPage{Kind: k, Action: "/security/add/" + string(k), WayOut: "/security/add", Sealed: "c2VhbGVk",
		Name: p.Texts.Text("en", "method."+string(k)+".name", nil), Username: "ada.example", Least: 15}
	v.Title, v.SignedIn = p.Texts.Text("en", "method."+string(k)+".add", nil), true
	switch k {
	case method.Passkey:
		v.Options, v.Passkeys = storyCreate, true
	case method.TOTP:
		v.URI, v.Key, v.QRSize = "otpauth://totp/Example:ada.example?secret=JBSWY3DPEHPK3PXP&issuer=Example", "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", 29
		v.QRPath = "M4 4h7v7h-7zM18 4h7v7h-7zM4 18h7v7h-7zM13 5h2v3h-2zM13 12h4v2h-4zM19 14h3v4h-3zM14 19h3v5h-3zM20 21h4v3h-4z"
	}
	return v
}

func securityStories() []Story {
	confirm := func(p *Pages, icon, title, button string, danger bool, lines ...string) *confirmPage {
		v := &confirmPage{Icon: icon, Action: "/security/x", Button: p.Texts.Text("en", button, nil), Danger: danger}
		for _, l := range lines {
			v.Lines = append(v.Lines, p.Texts.Text("en", l, nil))
		}
		v.Title, v.SignedIn = p.Texts.Text("en", title, map[string]any{"Name": "Blue phone"}), true
		return v
	}
	return []Story{
		{"security", "usual", func(p *Pages) page { return storySecurity(p) }},
		{"security", "changed", func(p *Pages) page {
			v := storySecurity(p)
			v.Flash = p.Texts.Text("en", "done.added.passkey", map[string]any{"Name": "Blue phone"})
			return v
		}},
		{"security", "one-method", func(p *Pages) page {
			v := storySecurity(p)
			v.Methods, v.Second, v.Browsers, v.Recent, v.Sessions = v.Methods[:2], storySecond(), nil, nil, v.Sessions[:1]
			return v
		}},
		{"security", "empty", func(p *Pages) page {
			v := storySecurity(p)
			v.Methods, v.Browsers, v.Recent, v.CanLead, v.RefreshedAt = nil, nil, nil, false, nil
			return v
		}},
		{"remove", "passkey", func(p *Pages) page {
			return confirm(p, "passkey", "remove.title", "remove.button", true, "remove.passkey", "remove.sessions")
		}},
		{"remove", "phone", func(p *Pages) page {
			return confirm(p, "app", "remove.title", "remove.button", true, "remove.app", "remove.sessions")
		}},
		{"forget", "browser", func(p *Pages) page {
			return confirm(p, "remember", "forget.title", "forget.button", false, "forget.lead")
		}},
		{"report", "signin", func(p *Pages) page {
			return confirm(p, "alert", "report.title", "report.button", true, "report.lead", "report.then")
		}},
		{"rename", "first", func(p *Pages) page {
			v := &renamePage{Kind: method.Passkey, Action: "/security/methods/b/rename", Name: "Blue phone"}
			v.Title, v.SignedIn = p.Texts.Text("en", "rename.title", map[string]any{"Name": "Blue phone"}), true
			return v
		}},
		{"rename", "empty", func(p *Pages) page {
			v := &renamePage{Kind: method.Passkey, Action: "/security/methods/b/rename"}
			v.Title, v.SignedIn = p.Texts.Text("en", "rename.title", map[string]any{"Name": "Blue phone"}), true
			v.Problem = p.problem("en", storyFault("method.name_missing"), "name")
			return v
		}},
		{"lead", "first", func(p *Pages) page {
			v := &leadPage{Kinds: []Choice{storyChoice(p, method.Passkey), storyChoice(p, method.TOTP)}}
			v.Title, v.SignedIn = p.Texts.Text("en", "lead.title", nil), true
			return v
		}},
		{"apps", "usual", func(p *Pages) page { return storyApps(p) }},
		{"apps", "one-device", func(p *Pages) page { v := storyApps(p); v.Second = storySecond(); return v }},
		{"apps", "none", func(p *Pages) page { v := storyApps(p); v.Groups = nil; return v }},
		{"apps", "nothing-found", func(p *Pages) page { v := storyApps(p); v.Groups, v.Query = nil, "telescope"; return v }},
	}
}

func storyApps(p *Pages) *appsPage {
	t := func(key string) string { return p.Texts.Text("en", key, nil) }
	v := &appsPage{Groups: []appGroup{
		{ID: "group-a", Name: "Clinical", Tiles: []appTile{{"Patient records", "https://records.example.ac.uk", t("asks.every_time"), "P"}}},
		{ID: "group-b", Name: "Teaching and learning", Tiles: []appTile{
			{"Course pages", "https://courses.example.ac.uk", t("asks.usual"), "C"}, {"Library", "https://library.example.ac.uk", t("asks.usual"), "L"},
			{"Timetable", "https://timetable.example.ac.uk", t("asks.usual"), "T"}, {"Remote desktop", "https://remote.example.ac.uk", t("asks.strong"), "R"}}}}}
	v.Title, v.SignedIn, v.Wide = t("apps.title"), true, true
	return v
}

// storyAdd lists what may be set up.
func storyAdd(p *Pages, title, lead string) *addPage {
	v := &addPage{Lead: p.Texts.Text("en", lead, nil), WayOut: "/security", Kinds: []Choice{storyChoice(p, method.Passkey), storyChoice(p, method.App),
		storyChoice(p, method.TOTP), storyChoice(p, method.Phone), storyChoice(p, method.Recovery)}}
	v.Title, v.SignedIn = p.Texts.Text("en", title, map[string]any{"Name": "Ada Example"}), true
	return v
}

func enrolStories() []Story {
	return []Story{
		{"add", "list", func(p *Pages) page { return storyAdd(p, "add.title", "add.lead") }},
		{"add", "full", func(p *Pages) page {
			v := storyAdd(p, "add.title", "add.lead")
			v.Kinds[0].Refused = p.Texts.Text("en", "error.method.limit", nil)
			return v
		}},
		{"add-passkey", "first", func(p *Pages) page { return storyEnrol(p, method.Passkey) }},
		{"add-passkey", "refused", func(p *Pages) page {
			v := storyEnrol(p, method.Passkey)
			v.Problem = p.problem("en", storyFault("passkey.not_attested"), "")
			return v
		}},
		{"add-passcodes", "first", func(p *Pages) page { return storyEnrol(p, method.TOTP) }},
		{"add-passcodes", "wrong", func(p *Pages) page {
			v := storyEnrol(p, method.TOTP)
			v.Problem = p.problem("en", storyFault("totp.wrong"), "answer")
			return v
		}},
		{"new-password", "first", func(p *Pages) page { return storyEnrol(p, method.Password) }},
		{"new-password", "short", func(p *Pages) page {
			v := storyEnrol(p, method.Password)
			v.Problem = p.problem("en", storyFault("password.too_short").With("min", 15), "answer")
			return v
		}},
	}
}

func welcomeStories() []Story {
	return []Story{
		{"welcome", "code", func(p *Pages) page {
			v := &welcomePage{}
			v.Title = p.Texts.Text("en", "welcome.title", nil)
			return v
		}},
		{"welcome", "wrong", func(p *Pages) page {
			v := &welcomePage{}
			v.Title = p.Texts.Text("en", "welcome.title", nil)
			v.Problem = p.problem("en", storyFault("invitation.invalid"), "code")
			return v
		}},
		{"welcome", "choose", func(p *Pages) page {
			v := storyAdd(p, "welcome.choose", "welcome.choose_lead")
			v.Ref, v.WayOut, v.SignedIn = "c2VhbGVk", "/welcome", false
			v.Kinds = append(v.Kinds[:1:1], storyChoice(p, method.Password))
			return v
		}},
		{"welcome", "second-step", func(p *Pages) page {
			v := storyAdd(p, "welcome.second", "welcome.second_lead")
			v.Ref, v.WayOut, v.SignedIn = "c2VhbGVk", "/welcome", false
			v.Kinds = []Choice{storyChoice(p, method.App), storyChoice(p, method.TOTP)}
			return v
		}},
		{"welcome", "passkey", func(p *Pages) page {
			v := storyEnrol(p, method.Passkey)
			v.Ref, v.Action, v.SignedIn = "c2VhbGVk", "/welcome/finish", false
			return v
		}},
		{"welcome", "ready", func(p *Pages) page {
			v := &messagePage{Lines: []string{p.Texts.Text("en", "welcome.ready.passkey", nil), p.Texts.Text("en", "welcome.ready_next", nil)},
				Next: "/signin", NextText: p.Texts.Text("en", "welcome.signin", nil)}
			v.Title = p.Texts.Text("en", "welcome.ready", nil)
			return v
		}},
	}
}
