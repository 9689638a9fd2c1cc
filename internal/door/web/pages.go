package web

import (
	"html/template"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// page is one page's data: the name of its template and the shell around it.
type page interface {
	name() string
	frame() *Shell
}

// Shell is what every page has around it. Title is the heading too.
type Shell struct {
	Lang     string
	Title    string
	SignedIn bool
	Wide     bool
	Passkeys bool // loads passkey.js
	Waits    bool // loads wait.js
	// Refresh is the head's "content" attribute that looks again without JavaScript, "" for none.
	Refresh template.HTMLAttr
	Help    string
	Flash   string
	Problem *Problem
	// Here is where the same page is found by GET, on a page that answers a POST: the browser's history gets it, so
	// that the back button and a reload send nothing a second time. "" elsewhere.
	Here string

	// Filled by the renderer.
	FullTitle string
	Campus    *campusView
}

func (s *Shell) frame() *Shell { return s }

// ProblemField is the id of the field that the problem is about, "" for none.
func (s *Shell) ProblemField() string {
	if s.Problem == nil {
		return ""
	}
	return s.Problem.Field
}

type campusView struct {
	Name, Logo, Stylesheet, HomeURL        string
	HelpName, HelpURL, HelpPhone, HelpMail string
	Banner, BannerURL                      string
}

// Problem is what was wrong with the last press.
type Problem struct {
	Text, Field, Anchor string
}

// When is a time as a page shows it: in UTC until the browser writes it in the reader's zone.
type When struct {
	ISO, Text string
	Day       bool
}

// Choice is one method in a list.
type Choice struct {
	Kind              method.Kind
	Name, Short, Long string
	Refused           string // why not, in words
}

// Why is one reason in words, with its rule's name.
type Why struct{ Text, Rule string }

// ask is what the pages of a sign-in share.
type ask struct {
	Shell
	Attempt string
	App     string // the application's name, "" for our own pages
	Act     string // the sentence that names the act
	Who     string
	Session bool // the person is signed in already
	Others  []Choice
	Why     []Why
	Passkey string // WebAuthn options as JSON, "" for none
	// PasskeyUnknown tells the browser that the passkey it just used is not in use here.
	PasskeyUnknown bool
	RememberDays   int
	Remembered     bool // ticked already
	WayOut         string
	Restart        string
	Topic          string // anchor in the help
}

// identifyPage asks for the name.
type identifyPage struct {
	ask
	Name      string
	FocusName bool
}

func (*identifyPage) name() string { return "identify" }

// provePage asks for a proof of one kind; each kind has its template "prove-<kind>".
type provePage struct {
	ask
	Kind method.Kind
	// Sending is what is on its way, nil for nothing; Over why the last one came to nothing, nil where it did not.
	Sending *sendingView
	Over    *overView
	// AtOnce: the browser asks for a request without a press, where it runs scripts.
	AtOnce bool
	// Ways are how else a code can be had; none while nothing may be sent.
	Ways []wayView
}

func (p *provePage) name() string { return "prove-" + string(p.Kind) }

// refusedPage says that policy refuses, and why.
type refusedPage struct {
	ask
	// Add is the method that would lift the refusal, "" for none: its name in AddName, its wizard at AddURL.
	Add             method.Kind
	AddName, AddURL string
	// Invited: it takes an invitation to add it.
	Invited bool
}

func (*refusedPage) name() string { return "refused" }

// expiredPage offers to go on with a fresh attempt. Over says what ended the old one, "" for its time.
type expiredPage struct {
	ask
	Over string
}

func (*expiredPage) name() string { return "expired" }

// errorPage is any other failure.
type errorPage struct {
	Shell
	Message, Advice, Anchor, RequestID string
}

func (*errorPage) name() string { return "error" }

// messagePage says that something is done and leads on.
type messagePage struct {
	Shell
	Lines    []string
	Next     template.URL // ours, or checked
	NextText string
}

func (*messagePage) name() string { return "message" }

// appsPage is the landing page.
type appsPage struct {
	Shell
	Query  string
	Groups []appGroup
	Second *secondView
}

type appGroup struct {
	ID, Name string
	Tiles    []appTile
}

type appTile struct{ Name, URL, Asks, Initial string }

func (*appsPage) name() string { return "apps" }

// signOutPage asks before signing out.
type signOutPage struct {
	Shell
	Everywhere bool
	Button     string
}

func (*signOutPage) name() string { return "signout" }

// securityPage is the member's own page.
type securityPage struct {
	Shell
	Name        string
	Second      *secondView // what keeps the member in when a device is lost, nil where enough does
	Methods     []methodRow
	CanLead     bool
	RefreshedAt *When
	Sessions    []sessionRow
	Browsers    []browserRow
	Recent      []recentRow
	// PasskeysLeft is the argument of signalAllAcceptedCredentials as JSON, after a removal.
	PasskeysLeft string
}

type methodRow struct {
	ID, Name, KindName         string
	Kind                       method.Kind
	Leads, Password, Removable bool
	Inner                      bool
	Added                      When
	Used                       *When
	// On is what lies on this device, each of it Inner: it has no name of its own. Left how many recovery codes are unused; Held until when it opens less.
	On   []methodRow
	Left *int
	Held *When
}

type sessionRow struct {
	ID, Agent, Icon, Address string
	Here                     bool
	Since                    When
}

type browserRow struct {
	ID, Agent string
	Here      bool
	Until     When
}

type recentRow struct {
	ID, What, Outcome, Where string
	Bad                      bool
	At                       When
}

func (*securityPage) name() string { return "security" }

// addPage lists the kinds that may be added (or, with Ref, registered by an invitation).
type addPage struct {
	Shell
	Lead    string
	Ref     string
	Attempt string // the sign-in that the wizard leads back to, or ""
	Kinds   []Choice
	WayOut  string
}

func (*addPage) name() string { return "add" }

// enrolPage is a wizard; each kind has its template "enrol-<kind>".
type enrolPage struct {
	Shell
	Kind           method.Kind
	Action, WayOut string
	Ref, Sealed    string
	Name, Username string
	Options        string       // WebAuthn options as JSON
	URI            template.URL // otpauth:, checked
	QRPath, Key    string
	QRSize, Least  int
	Attempt        string // the sign-in that the wizard leads back to, or ""
	// Number is what is asked of a telephone number; Typed the number as it was typed, Codes a set of recovery codes.
	Number *numberView
	Typed  string
	Codes  []string
}

func (p *enrolPage) name() string { return "enrol-" + string(p.Kind) }

// confirmPage asks once more before an act.
type confirmPage struct {
	Shell
	Icon, Action, Button string
	Lines                []string
	Danger               bool
}

func (*confirmPage) name() string { return "confirm" }

// renamePage asks for a new name.
type renamePage struct {
	Shell
	Kind         method.Kind
	Action, Name string
}

func (*renamePage) name() string { return "rename" }

// leadPage chooses which method is asked for first.
type leadPage struct {
	Shell
	Chosen method.Kind
	Kinds  []Choice
}

func (*leadPage) name() string { return "lead" }

// welcomePage asks for an invitation's code.
type welcomePage struct{ Shell }

func (*welcomePage) name() string { return "welcome" }

// helpPage answers. InForce: with what follows from the policy in force.
type helpPage struct {
	Shell
	InForce  bool
	Topics   []helpTopic
	Messages []helpMessage
}

type helpTopic struct {
	ID, Title string
	Points    []helpPoint
}

// helpPoint is one sentence and what belongs to it. Names are of applications, More what opens a long list of them.
type helpPoint struct {
	Text, Detail, More string
	Kind               method.Kind
	KindName           string
	Names              []string
}

type helpMessage struct{ ID, Code, Text string }

func (*helpPage) name() string { return "help" }

// formPostPage carries an answer to an application (OAuth 2.0 Form Post Response Mode).
type formPostPage struct {
	Shell
	Action template.URL // checked
	Fields []field
}

type field struct{ Name, Value string }

func (*formPostPage) name() string { return "formpost" }

// logoutPage asks whether to sign out, at an application's request.
type logoutPage struct {
	Shell
	App, Action string
	Fields      []field
}

func (*logoutPage) name() string { return "logout" }

// when shows a moment.
func when(t time.Time) When {
	u := t.UTC()
	return When{ISO: u.Format(time.RFC3339), Text: u.Format("2 Jan 2006, 15:04") + " UTC"}
}

// day shows a date.
func day(t time.Time) When {
	u := t.UTC()
	return When{ISO: u.Format(time.RFC3339), Text: u.Format("2 Jan 2006"), Day: true}
}
