package demo

import (
	"bytes"
	"context"
	"encoding/base32"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
	"github.com/gatehouse-id/gatehouse/internal/notice"
)

// Frame is the house's layout, so that the demo page looks like the rest.
type Frame interface {
	Frame(w http.ResponseWriter, status int, title string, body template.HTML) error
}

// Texts writes a notice as the mail would say it.
type Texts interface {
	Notice(kind, locale string, params map[string]string) (subject, body string)
}

// Message is one in the outbox. Said is what a channel was given, zero until it was: only there a code is still to be read
// once it is on its way.
type Message struct {
	notice.Message
	Said Said
}

// Said is a message in words.
type Said struct{ Subject, Body string }

// Pages are the demo's own pages on the house's address.
type Pages struct {
	Facts  func() Facts
	Notes  map[string]string // by username: what this person shows
	Clock  *Clock
	Outbox func(ctx context.Context, limit int) ([]Message, error)
	// Incidents gives the open ones, newest first.
	Incidents func(ctx context.Context) ([]manage.Incident, error)
	Texts     Texts
	Frame     Frame
	Static    *httpdoor.Static
	Door      *httpdoor.Door

	page *template.Template
	css  string
	js   string
}

// Routes registers them; only the demo command calls this.
func (p *Pages) Routes(mux *http.ServeMux) error {
	for name, url := range map[string]*string{"demo.css": &p.css, "demo.js": &p.js} {
		content, err := fs.ReadFile(static, "static/"+name)
		if err != nil {
			return err
		}
		*url = p.Static.Add(name, content)
	}
	var err error
	if p.page, err = template.ParseFS(templates, "templates/demo.html"); err != nil {
		return err
	}
	p.Door.Handle(mux, httpdoor.Page, "GET /demo", p.show)
	p.Door.Handle(mux, httpdoor.API, "GET /demo/outbox", p.outbox)
	p.Door.Handle(mux, httpdoor.Page, "POST /demo/clock", p.move)
	return nil
}

// moves are the steps that the page offers.
var moves = []struct {
	Name, Label string
	By          time.Duration
}{
	{"hour", "1 hour", time.Hour},
	{"day", "1 day", 24 * time.Hour},
	{"month", "31 days", 31 * 24 * time.Hour},
}

type personView struct {
	Person
	Note  string
	Code  string // grouped for reading, "" where there is none
	Plain string
	Left  int // seconds
}

type mailView struct {
	Channel, Subject, To, Body string
	At                         time.Time
}

type incidentView struct {
	What, Who, From string
	Count           int
	At              time.Time
}

type demoView struct {
	CSS, JS string
	People  []personView
	Apps    []Application
	Now     time.Time
	Ahead   string
	Moves   any
	Mails   []mailView
	Cases   []incidentView
	URL     string
	App     string
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request) error {
	facts, now := p.Facts(), p.Clock.Now()
	v := demoView{CSS: p.css, JS: p.js, Now: now.UTC(), Ahead: span(p.Clock.Ahead()), Moves: moves, URL: facts.OutboxURL, App: facts.AppURL}
	for _, a := range facts.Applications {
		if a.URL != "" {
			v.Apps = append(v.Apps, a)
		}
	}
	for _, person := range facts.People {
		view := personView{Person: person, Note: p.Notes[person.Username]}
		view.Plain, view.Left = Passcode(person.TOTPSecret, now)
		if len(view.Plain) == 6 {
			view.Code = view.Plain[:3] + " " + view.Plain[3:]
		}
		v.People = append(v.People, view)
	}
	var err error
	if v.Mails, err = p.mails(r.Context(), 30); err != nil {
		return err
	}
	if v.Cases, err = p.cases(r.Context()); err != nil {
		return err
	}
	var body bytes.Buffer
	if err := p.page.Execute(&body, v); err != nil {
		return err
	}
	return p.Frame.Frame(w, http.StatusOK, "Demo", template.HTML(body.String()))
}

// Passcode is what a person's authenticator app shows, and for how many seconds; "" without a secret.
func Passcode(base32Secret string, now time.Time) (code string, left int) {
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(base32Secret)
	if err != nil || len(secret) == 0 {
		return "", 0
	}
	return oath.Code(secret, oath.SHA1, 6, 30*time.Second, now), 30 - int(now.Unix()%30)
}

func (p *Pages) mails(ctx context.Context, limit int) ([]mailView, error) {
	list, err := p.Outbox(ctx, limit)
	if err != nil {
		return nil, err
	}
	out := make([]mailView, 0, len(list))
	for _, m := range list {
		if m.Said == (Said{}) { // not on its way yet
			params := maps.Clone(m.Params)
			if !m.Code.Empty() {
				if params == nil {
					params = map[string]string{}
				}
				params["Code"] = m.Code.Reveal()
			}
			m.Said.Subject, m.Said.Body = p.Texts.Notice(m.Kind, m.Locale, params)
		}
		out = append(out, mailView{Channel: m.Channel, Subject: m.Said.Subject, To: m.To, Body: m.Said.Body, At: m.Created.UTC()})
	}
	return out, nil
}

// incidentWords say what happened.
var incidentWords = map[string]string{
	incident.Reported: "A member said “not me”", incident.Flood: "More requests than one person answers", incident.Cap: "A limit of text messages or calls was reached",
}

func (p *Pages) cases(ctx context.Context) ([]incidentView, error) {
	list, err := p.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]incidentView, 0, len(list))
	for _, i := range list {
		out = append(out, incidentView{What: incidentWords[i.Kind], Who: i.Username, From: i.Personal["address"], Count: i.Count, At: i.Opened.UTC()})
	}
	return out, nil
}

// outbox is the same for machines.
func (p *Pages) outbox(w http.ResponseWriter, r *http.Request) error {
	mails, err := p.mails(r.Context(), 200)
	if err != nil {
		return err
	}
	out := make([]map[string]any, 0, len(mails))
	for _, m := range mails {
		out = append(out, map[string]any{"channel": m.Channel, "to": m.To, "subject": m.Subject, "body": m.Body, "at": m.At})
	}
	w.Header().Set("Cache-Control", "no-store")
	httpdoor.WriteJSON(w, http.StatusOK, out)
	return nil
}

var errMove = fault.New(fault.BadInput, "demo.clock", "The clock moves forward by an hour, a day or 31 days, at most three years in all.")

func (p *Pages) move(w http.ResponseWriter, r *http.Request) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	for _, m := range moves {
		if m.Name == form.Get("by") {
			if err := p.Clock.Move(m.By); err != nil {
				return errMove.Because(err)
			}
			return httpdoor.SeeOther(w, "/demo#clock")
		}
	}
	return errMove
}

// span writes a duration of days and hours.
func span(d time.Duration) string {
	days, hours := int(d.Hours())/24, int(d.Hours())%24
	switch {
	case d == 0:
		return ""
	case days == 0:
		return fmt.Sprintf("%d h", hours)
	case hours == 0:
		return fmt.Sprintf("%d days", days)
	}
	return fmt.Sprintf("%d days %d h", days, hours)
}
