package web

import (
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/qrcode"
)

// storySending is a request under way. Nothing answers at its address: the storybook's pages stand still.
func storySending(number, delivery string) *sendingView {
	v := &sendingView{Number: number, Delivery: delivery, Until: when(storyTime), Left: 260, CanExtend: true, App: "https://phone.example.ac.uk"}
	v.Spoken, v.Groups = digits(number)
	return v
}

// storyApp is the page that waits for the authenticator app.
func storyApp(p *Pages, change func(*provePage)) *provePage {
	v := storyProve(p, method.App)
	v.Others = append([]Choice{storyChoice(p, method.TOTP)}, storyChoice(p, method.Passkey), storyChoice(p, method.Recovery))
	v.Sending = storySending("47", "sent")
	v.Waits = true
	change(v)
	return v
}

// storyOver is the same page after a request that came to nothing.
func storyOver(code string) Story {
	return Story{"app", "over-" + code, func(p *Pages) page {
		return storyApp(p, func(v *provePage) {
			f := storyFault("signin.app_"+code).With("minutes", 10)
			v.Over = &overView{Icon: "clock", Title: p.Texts.Text("en", "app.over."+code, nil), Text: p.Texts.Fault("en", f), Anchor: anchor(f.Code),
				Again: mayAgain[f.Code]}
			if shape, ok := overIcons[f.Code]; ok {
				v.Over.Icon = shape
			}
			v.Title, v.Sending, v.Waits = v.Over.Title, nil, false
		})
	}}
}

func phoneStories() []Story {
	app := func(state string, change func(*provePage)) Story {
		return Story{"app", state, func(p *Pages) page { return storyApp(p, change) }}
	}
	out := []Story{
		app("sent", func(*provePage) {}),
		app("six-digits", func(v *provePage) { v.Sending, v.RememberDays = storySending("482719", "shown"), 30 }),
		app("open-the-app", func(v *provePage) { v.Sending = storySending("08", "waiting") }),
		app("unreachable", func(v *provePage) { v.Sending = storySending("90", "failed") }),
		app("shown", func(v *provePage) { v.Sending = storySending("13", "shown") }),
		app("same-phone", func(v *provePage) { v.Sending.SmallScreen = true }),
		app("no-more-time", func(v *provePage) { v.Sending.CanExtend, v.Sending.Left = false, 50 }),
		app("remember", func(v *provePage) { v.RememberDays, v.Remembered = 30, true }),
		app("to-send", func(v *provePage) { v.Sending, v.Waits = nil, false }),
		app("nothing-else", func(v *provePage) { v.Others = nil }),
	}
	for _, code := range []string{"denied", "reported", "wrong_number", "expired", "wait", "busy", "blocked", "removed"} {
		out = append(out, storyOver(code))
	}
	return append(out, codeStories()...)
}

// codeStories ask for a code that came by telephone, or from a list.
func codeStories() []Story {
	code := func(p *Pages, change func(*provePage)) *provePage {
		v := storyProve(p, method.Phone)
		v.Sending = &sendingView{To: "•••• 123", Until: when(storyTime)}
		v.Ways = []wayView{{Via: "text:a", Text: p.Texts.Text("en", "phone.text_again", nil), First: true},
			{Via: "voice:a", Text: p.Texts.Text("en", "phone.call_instead", nil), Voice: true},
			{Via: "text:b", Text: p.Texts.Text("en", "phone.text_to", map[string]any{"Number": "•••• 456"})}}
		change(v)
		return v
	}
	due := func(p *Pages, first bool) *duePage {
		v := &duePage{ask: storyAsked(p, "due.password"), Least: 15, First: first}
		v.Who = "ada.example"
		if first {
			v.Title = p.Texts.Text("en", "due.method", nil)
			v.Why = []Why{p.Texts.Reason("en", policy.Reason{Rule: policy.RuleDefault, Code: "strength", Params: map[string]any{"strength": "mfa"}})}
		}
		return v
	}
	return []Story{
		{"code", "text", func(p *Pages) page { return code(p, func(v *provePage) { v.RememberDays = 30 }) }},
		{"code", "call", func(p *Pages) page { return code(p, func(v *provePage) { v.Sending.Voice = true }) }},
		{"code", "wrong", func(p *Pages) page {
			return code(p, func(v *provePage) {
				v.Problem = p.problem("en", storyFault("signin.wrong"), "answer")
				v.Problem.Text = p.Texts.Text("en", "method.phone.wrong", nil)
			})
		}},
		{"code", "to-send", func(p *Pages) page {
			return code(p, func(v *provePage) {
				v.Sending, v.Ways = nil, []wayView{{Text: p.Texts.Text("en", "phone.send", nil), First: true}}
			})
		}},
		{"code", "capped", func(p *Pages) page {
			return code(p, func(v *provePage) {
				v.Sending, v.Ways = nil, nil
				v.Problem = p.problem("en", storyFault("signin.phone_capped"), "")
			})
		}},
		{"recovery-code", "first", func(p *Pages) page { return storyProve(p, method.Recovery) }},
		{"recovery-code", "wrong", func(p *Pages) page {
			v := storyProve(p, method.Recovery)
			v.Problem = p.problem("en", storyFault("signin.wrong"), "answer")
			v.Problem.Text = p.Texts.Text("en", "method.recovery.wrong", nil)
			return v
		}},
		{"due", "password", func(p *Pages) page { return due(p, false) }},
		{"due", "password-short", func(p *Pages) page {
			v := due(p, false)
			v.Problem = p.problem("en", storyFault("password.too_short").With("min", 15), "answer")
			return v
		}},
		{"due", "method", func(p *Pages) page { return due(p, true) }},
	}
}

func storySecond() *secondView {
	return &secondView{Codes: "/security/add/recovery", Device: "/security/add"}
}

// pairingStories are the wizards around a phone.
func pairingStories() []Story {
	pairing := func(state string, change func(*Pages, *pairingPage)) Story {
		return Story{"add-app", state, func(p *Pages) page {
			const link = "https://phone.example.ac.uk/#pair=Qm5uXk0t3J0Yh2yqk6nJ8A"
			path, size, _ := qrcode.Path(link) // short enough for any code
			v := &pairingPage{Base: "/security/pairing", Sealed: "c2VhbGVk", Waiting: true, Link: link, Code: "K7QM-3WDX", QRSize: size, QRPath: path, Until: when(storyTime), Left: 560, Kind: method.App, Restart: "/security/add/app"}
			v.Title, v.SignedIn, v.Waits = p.Texts.Text("en", "method.app.add", nil), true, true
			change(p, v)
			return v
		}}
	}
	claimed := func(p *Pages, v *pairingPage) {
		v.Waiting, v.Claimed, v.Phone, v.Name = false, true, "Pixel 9", "Pixel 9"
		v.Title = p.Texts.Text("en", "pairing.type_title", nil)
	}
	return []Story{
		pairing("first", func(*Pages, *pairingPage) {}),
		pairing("this-phone", func(_ *Pages, v *pairingPage) { v.SmallScreen = true }),
		pairing("no-phone-yet", func(p *Pages, v *pairingPage) { v.Problem = p.problem("en", errNoPhoneYet, "") }),
		pairing("claimed", claimed),
		pairing("unnamed", func(p *Pages, v *pairingPage) { claimed(p, v); v.Phone = "" }),
		pairing("wrong-code", func(p *Pages, v *pairingPage) {
			claimed(p, v)
			v.Problem = p.problem("en", storyFault("pairing.code_wrong").With("left", 2), "answer")
		}),
		pairing("over", func(p *Pages, v *pairingPage) {
			v.Waiting, v.Waits, v.Ended, v.Title = false, false, true, p.Texts.Text("en", "pairing.over", nil)
			v.Problem = p.problem("en", storyFault("pairing.ended"), "")
		}),
		pairing("invitation-over", func(p *Pages, v *pairingPage) {
			v.Waiting, v.Waits, v.Ended, v.Title = false, false, true, p.Texts.Text("en", "pairing.over", nil)
			v.Base, v.Ref, v.SignedIn = "/welcome/pairing", "c2VhbGVk", false
		}),
	}
}

// numberStories are the wizards of a number and of recovery codes, and what comes after them.
func numberStories() []Story {
	number := func(p *Pages, n numberView) *enrolPage {
		v := storyEnrol(p, method.Phone)
		v.Number = &n
		return v
	}
	return []Story{
		{"add-number", "first", func(p *Pages) page { return number(p, numberView{Text: true, Voice: true, Country: "United Kingdom"}) }},
		{"add-number", "refused", func(p *Pages) page {
			v := number(p, numberView{Text: true})
			v.Typed, v.Problem = "0909 879 0000", p.problem("en", storyFault("phone.special"), "typed")
			return v
		}},
		{"add-number", "code", func(p *Pages) page {
			v := number(p, numberView{Code: true, Text: true, Voice: true, To: "•••• 123"})
			v.Typed = "07700 900123"
			return v
		}},
		{"add-number", "wrong", func(p *Pages) page {
			v := number(p, numberView{Code: true, Voice: true, To: "•••• 123", Called: true})
			v.Typed, v.Ref, v.Attempt = "07700 900123", "c2VhbGVk", storyAttempt
			v.Problem = p.problem("en", storyFault("phone.wrong"), "answer")
			return v
		}},
		{"add-recovery", "first", func(p *Pages) page {
			v := storyEnrol(p, method.Recovery)
			for _, end := range []string{"2a", "3b", "4c", "5d", "6e", "7f", "8g", "9h", "aj", "bk"} {
				v.Codes = append(v.Codes, "wq7x-m4kd-9t"+end)
			}
			return v
		}},
		{"second", "one-device", func(p *Pages) page {
			v := &secondPage{secondView: *storySecond(), Skip: "/security"}
			v.Title, v.SignedIn = p.Texts.Text("en", "second.title", nil), true
			v.Flash = p.Texts.Text("en", "done.added.app", map[string]any{"Name": "Pixel 9"})
			return v
		}},
		{"second", "few-codes", func(p *Pages) page {
			v := &secondPage{secondView: secondView{Codes: "/security/add/recovery", Few: true, Left: 1}, Skip: "/security"}
			v.Title, v.SignedIn = p.Texts.Text("en", "second.title", nil), true
			return v
		}},
		{"security", "phones", func(p *Pages) page { return storyPhones(p) }},
	}
}

// storyPhones is the security page of somebody with a phone, a number and a list of codes.
func storyPhones(p *Pages) *securityPage {
	v := storySecurity(p)
	name := func(k method.Kind) string { return p.Texts.Text("en", "method."+string(k)+".name", nil) }
	used, held, left := when(storyTime), day(storyTime.AddDate(0, 0, 6)), 2
	v.Methods = []methodRow{v.Methods[0],
		{ID: "d", Name: "Pixel 9", KindName: name(method.App), Kind: method.App, Leads: true, Removable: true, Added: day(storyTime.AddDate(0, -1, 0)), Used: &used,
			On: []methodRow{{ID: "e", Name: p.Texts.Text("en", "security.passcodes", nil), KindName: p.Texts.Text("en", "security.passcodes", nil), Kind: method.TOTP, Inner: true, Removable: true, Added: day(storyTime.AddDate(0, -1, 0))}}},
		{ID: "f", Name: "•••• 123", KindName: name(method.Phone), Kind: method.Phone, Removable: true, Added: day(storyTime.AddDate(0, -1, 0)), Held: &held},
		{ID: "g", Name: name(method.Recovery), KindName: name(method.Recovery), Kind: method.Recovery, Removable: true, Left: &left, Added: day(storyTime.AddDate(0, -1, 0))}}
	v.Second = &secondView{Codes: "/security/add/recovery", Few: true, Left: left}
	v.Recent = append([]recentRow{
		{ID: "n:9", What: p.Texts.Text("en", "recent.approval.reported", nil), Bad: true, Where: "Chrome on Android, 198.51.100.4", At: when(storyTime)},
		{ID: "n:8", What: p.Texts.Text("en", "recent.challenge.started.done.app", nil), Where: "Firefox on Windows, 203.0.113.9", At: when(storyTime)}}, v.Recent...)
	return v
}
