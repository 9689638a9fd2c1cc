package web

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// refreshAfter is how long a page waits before it looks again where no script does it, in seconds.
const refreshAfter = "5"

// outOfHand reports whether a kind is proven with something that was sent out.
func outOfHand(k method.Kind) bool { return k == method.App || k == method.Phone }

// sendingView is a challenge under way.
type sendingView struct {
	// Number is to be matched; Spoken says its digits one by one, Groups show them.
	Number, Spoken string
	Groups         []string
	// To is where a code went, masked; Voice: it was a call.
	To    string
	Voice bool
	// Delivery is one of deliveries.
	Delivery string
	// Until and Left (seconds) are when it ends; CanExtend: it may be given more time.
	Until     When
	Left      int
	CanExtend bool
	// Events is where the page listens, "" where it cannot. App is the app's address for a browser on the phone itself,
	// SmallScreen that this one looks like it.
	Events, App string
	SmallScreen bool
}

// Deliveries are the states that the page can show, in order; the one that holds is visible.
func (*sendingView) Deliveries() []string { return []string{"waiting", "sent", "failed", "shown"} }

// overView says why a request came to nothing, and whether another one may be sent now.
type overView struct {
	Icon, Title, Text, Anchor string
	Again                     bool
}

// fillSending fills what the page of an outbound kind shows.
func (s *Web) fillSending(r *http.Request, c signin.Caller, step signin.Step, p *provePage) error {
	p.Over = s.over(c, step)
	if p.Over != nil {
		p.Title, p.Problem, p.Help = p.Over.Title, nil, p.Over.Anchor
	}
	if step.Sending == nil {
		p.AtOnce = step.Method == method.App && step.Problem == nil
		if step.Problem == nil || mayAgain[step.Problem.Code] {
			p.Ways = []wayView{{Text: s.text(c, "phone.send"), First: true}}
		}
		return nil
	}
	v, err := s.sending(c, *step.Sending)
	if err != nil || p.Over != nil {
		return err
	}
	p.Sending = v
	if step.Method != method.App {
		p.Ways, err = s.ways(c, step.Sending.Public)
		return err
	}
	p.Waits = true
	v.Events = eventsURL("/signin/events", "attempt", step.Attempt)
	v.App = s.AppURL
	_, v.SmallScreen = s.texts.Agent(c.Locale, c.Agent)
	next := "/signin/next?attempt=" + url.QueryEscape(step.Attempt)
	if remembers(r) {
		next += "&remember=yes"
	}
	if len(step.Attempt) <= maxRef {
		p.Refresh = refresh(next)
	}
	return nil
}

// refresh makes the attribute that leads to path by itself; path is our own, its parameters escaped.
func refresh(path string) template.HTMLAttr {
	return template.HTMLAttr(`content="` + refreshAfter + `;url=` + template.HTMLEscapeString(path) + `"`)
}

func (s *Web) sending(c signin.Caller, in signin.Sending) (*sendingView, error) {
	v := &sendingView{Number: in.Number, Voice: in.Via == "voice", Delivery: delivery(in.Furthest), Until: when(in.Expires),
		CanExtend: in.CanExtend, Left: max(0, int(in.Expires.Sub(s.Now())/time.Second))}
	v.Spoken, v.Groups = digits(in.Number)
	if len(in.Public) > 0 {
		var public struct {
			To string `json:"to"`
		}
		if err := json.Unmarshal(in.Public, &public); err != nil {
			return nil, err
		}
		v.To = public.To
	}
	return v, nil
}

// digits gives a number as a screen reader says it, digit by digit, and as people read it, in threes.
func digits(number string) (spoken string, groups []string) {
	spoken = strings.Join(strings.Split(number, ""), " ")
	for len(number) > 4 {
		groups, number = append(groups, number[:3]), number[3:]
	}
	return spoken, append(groups, number)
}

// over puts the end of a request into words of its own: nothing went wrong on this page.
func (s *Web) over(c signin.Caller, step signin.Step) *overView {
	if step.Problem == nil || step.Method != method.App {
		return nil
	}
	v := &overView{Icon: "clock", Title: s.text(c, "app.over"), Text: s.texts.Fault(c.Locale, step.Problem), Anchor: anchor(step.Problem.Code),
		Again: mayAgain[step.Problem.Code]}
	if title := "app.over." + strings.TrimPrefix(step.Problem.Code, "signin.app_"); s.texts.Has(title) {
		v.Title = s.text(c, title)
	}
	if shape, ok := overIcons[step.Problem.Code]; ok {
		v.Icon = shape
	}
	return v
}

// mayAgain are the ends after which another one may be sent at once.
var mayAgain = map[string]bool{"signin.app_denied": true, "signin.app_expired": true, "signin.app_wrong_number": true, "signin.app_busy": true,
	"signin.already_used": true, "signin.code_expired": true, "signin.code_over": true}

// overIcons are the pictures of what is no matter of time.
var overIcons = map[string]string{"signin.app_denied": "stop", "signin.app_reported": "shield", "signin.app_wrong_number": "alert", "signin.app_blocked": "stop"}

// wayView is one way to have a code: again, by a call, or to another number.
type wayView struct {
	Via, Text    string
	Voice, First bool
}

// ways reads what the method says of the person's numbers (method/phone.Dispatched); the first is where the code went.
func (s *Web) ways(c signin.Caller, public json.RawMessage) ([]wayView, error) {
	var sent struct {
		Numbers []struct {
			Credential string   `json:"credential"`
			To         string   `json:"to"`
			Channels   []string `json:"channels"`
		} `json:"numbers"`
	}
	if len(public) > 0 {
		if err := json.Unmarshal(public, &sent); err != nil {
			return nil, err
		}
	}
	var out []wayView
	for i, n := range sent.Numbers {
		for j, via := range n.Channels {
			way := wayView{Via: via + ":" + n.Credential, Voice: via == "voice"}
			switch {
			case i > 0 && way.Voice:
				way.Text = s.text(c, "phone.call_to", "Number", n.To)
			case i > 0:
				way.Text = s.text(c, "phone.text_to", "Number", n.To)
			case way.Voice && j > 0:
				way.Text = s.text(c, "phone.call_instead")
			case way.Voice:
				way.Text = s.text(c, "phone.call")
			default:
				way.Text = s.text(c, "phone.text_again")
			}
			out = append(out, way)
		}
	}
	return out, nil
}

// duePage asks for what stands before anything else: a new password, or a first method beside it.
type duePage struct {
	ask
	Least int
	First bool // a first method; else a new password
}

func (p *duePage) name() string {
	if p.First {
		return "due-method"
	}
	return "due-password"
}

func (s *Web) duePage(c signin.Caller, step signin.Step, a ask) *duePage {
	p := &duePage{ask: a, First: step.Kind == signin.StepFirstMethod, Least: usualLeast}
	var public struct {
		Min int `json:"min"`
	}
	if len(step.Prompt.Public) > 0 && json.Unmarshal(step.Prompt.Public, &public) == nil && public.Min > 0 {
		p.Least = public.Min
	}
	p.Title, p.Help = s.text(c, "due.password"), "password"
	if p.First {
		p.Title, p.Help = s.text(c, "due.method"), "choosing"
	}
	if p.Problem != nil && !p.First {
		p.Problem.Field = "answer"
	}
	return p
}

// setDuePassword answers signin.StepNewPassword.
func (s *Web) setDuePassword(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	step, err := s.SignIn.NewPassword(r.Context(), c, form.Get("attempt"), form.Get("answer"))
	return s.onward(w, r, c, step, err)
}

// beginFirst goes on from signin.StepFirstMethod: the wizard is that of an invitation, and leads back to the attempt.
func (s *Web) beginFirst(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	attempt := form.Get("attempt")
	wel, err := s.Security.FirstByAttempt(r.Context(), c, attempt)
	if err != nil {
		return err
	}
	p := &addPage{Ref: wel.Ref, Attempt: attempt, WayOut: "/signin?attempt=" + url.QueryEscape(attempt), Lead: s.text(c, "due.method_choose")}
	for _, k := range wel.Kinds {
		if k != method.Password { // they have one
			p.Kinds = append(p.Kinds, s.choice(c, k))
		}
	}
	p.Lang, p.Title, p.Help, p.Here = c.Locale, s.text(c, "due.method"), "choosing", p.WayOut
	return s.Pages.render(w, http.StatusOK, p)
}

// phoneOffer is what the method's offers say of a number (method/phone.Offered).
type phoneOffer struct {
	Ask      string   `json:"ask"`
	Channels []string `json:"channels"`
	Country  string   `json:"country"`
	To       string   `json:"to"`
	Via      string   `json:"via"`
}

// numberView is one of the two questions of a telephone number's wizard: the number, or the code that went to it.
type numberView struct {
	Code        bool
	Text, Voice bool // ways that a code can take
	Country     string
	To          string // masked
	Called      bool   // by voice
}

func (s *Web) fillNumber(c signin.Caller, p *enrolPage, o phoneOffer) {
	if o.Ask == "" {
		return
	}
	p.Number = &numberView{Code: o.Ask == "code", Text: slices.Contains(o.Channels, "text"), Voice: slices.Contains(o.Channels, "voice"),
		To: o.To, Called: o.Via == "voice"}
	if code := o.Country; code != "" {
		p.Number.Country = s.texts.Country(c.Locale, code)
	}
}
