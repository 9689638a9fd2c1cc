package device_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

func TestAnApprovalSignsInTheBrowserThatAsked(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, ph := h.paired(t, "ada")
		in := h.ask(t, ada, h.Browser())
		list, topic, err := h.device.Requests(ctx, ph.enter())
		must(t, err)
		if len(list) != 1 || list[0].ID != in.id || list[0].Digits != 2 || topic != signin.RequestsTopic(string(ada.ID)) || list[0].Account != ph.account {
			t.Fatalf("%+v on %s", list, topic)
		}
		standing, err := ph.answer(in.id, in.number, "approve")
		must(t, err)
		c := h.challenge(t, in.id)
		if standing != "approved" || c.Standing != signin.Approved || c.Proof == nil || !c.Proof.UserVerified || c.Proof.DeviceBound || c.Proof.PhishingResistant {
			t.Fatalf("%s %+v", standing, c)
		}
		s := in.b.Answer(in.ref, method.App, method.Answer{}, false)
		if s.Kind != signin.StepDone || len(h.Sessions(ada)) != 2 {
			t.Fatalf("step %d %v", s.Kind, s.Problem)
		}
		if !slices.Contains(h.Acts(ada), "approval.approved done") {
			t.Errorf("%v", h.Acts(ada))
		}
	})
}

// Attack G47: one wrong number ends the request, is on record, and the phone was never told the right one.
func TestG47_OneWrongNumberEndsTheRequest(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, ph := h.paired(t, "ada")
		in := h.ask(t, ada, h.Browser())
		list, _, err := h.device.Requests(ctx, ph.enter())
		must(t, err)
		if text, _ := json.Marshal(list); strings.Contains(string(text), `"`+in.number+`"`) {
			t.Errorf("the phone is told the number: %s", text)
		}
		wrong := "10"
		if in.number == wrong {
			wrong = "11"
		}
		_, err = ph.answer(in.id, wrong, "approve")
		wantCode(t, err, "request.wrong_number")
		if c := h.challenge(t, in.id); c.Standing != signin.WrongNumber || c.Proof != nil {
			t.Errorf("%+v", c)
		}
		_, err = ph.answer(in.id, in.number, "approve")
		wantCode(t, err, "request.over")
		if s := in.b.Answer(in.ref, method.App, method.Answer{}, false); s.Kind == signin.StepDone || len(h.Sessions(ada)) != 1 {
			t.Errorf("step %d", s.Kind)
		}
		if !slices.Contains(h.Acts(ada), "approval.wrong_number failed") {
			t.Errorf("%v", h.Acts(ada))
		}
	})
}

func TestAnotherRequestsNumberIsWrong(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, known, ph := h.paired(t, "ada")
		one := h.ask(t, ada, h.Browser())
		known.Session = secret.NewString("") // the browser is known, its session is over
		two := h.ask(t, ada, known)
		if one.number == two.number {
			t.Fatal("two live requests have one number")
		}
		_, err := ph.answer(one.id, two.number, "approve")
		wantCode(t, err, "request.wrong_number")
		_, err = ph.answer(two.id, two.number, "approve")
		must(t, err)
		if s := one.b.Answer(one.ref, method.App, method.Answer{}, false); s.Kind == signin.StepDone {
			t.Error("one request's approval signed the other browser in")
		}
	})
}

// Of approvals and refusals at once exactly one counts, on both engines.
func TestOfParallelAnswersOneCounts(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b, ph := h.paired(t, "ada")
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.App))
		second := h.pair(t, b)
		for round := range 4 {
			h.Clock.Add(20 * time.Minute)
			in := h.ask(t, ada, h.Browser())
			type try struct {
				p device.Phone
				a device.Answer
			}
			var tries []try
			for i := range 6 {
				from, decision, number := ph, "approve", in.number
				if i%2 == round%2 {
					from, decision, number = second, "deny", ""
				}
				tries = append(tries, try{from.enter(), from.decide(in.id, number, decision)})
			}
			var all sync.WaitGroup
			var mu sync.Mutex
			var won []string
			for _, one := range tries {
				all.Go(func() {
					standing, err := h.device.Answer(ctx, one.p, in.id, one.a)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won = append(won, standing)
					} else if fault.Of(err).Kind != fault.Conflict {
						t.Errorf("the others are told that it is over: %v", err)
					}
				})
			}
			all.Wait()
			want := map[signin.Standing]string{signin.Approved: "approved", signin.Denied: "denied"}[h.challenge(t, in.id).Standing]
			if len(won) != 1 || won[0] != want {
				t.Errorf("round %d: %v counted, the request stands at %q", round, won, want)
			}
		}
	})
}

// Attack G72: what is signed for one request, account, server, time or call counts for no other, and once.
func TestG72_SignedAnswersCountForWhatTheySay(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, ph := h.paired(t, "ada")
		in := h.ask(t, ada, h.Browser())
		for name, change := range map[string]func(map[string]any){
			"another request": func(d map[string]any) { d["request"] = "other" },
			"another account": func(d map[string]any) { d["account"] = "other" },
			"another server":  func(d map[string]any) { d["server"] = "https://signin.example.com" },
			"an old time":     func(d map[string]any) { d["time"] = ph.now() - 121 },
			"a later time":    func(d map[string]any) { d["time"] = ph.now() + 125 },
			"one member more": func(d map[string]any) { d["place"] = "here" },
		} {
			_, err := ph.answer(in.id, in.number, "approve", change)
			if err == nil || fault.Of(err).Code != "request.answer" {
				t.Errorf("%s: %v", name, err)
			}
		}
		good := ph.decide(in.id, in.number, "approve")
		altered := good
		altered.JWS = good.JWS[:len(good.JWS)-20] + strings.Repeat("A", 20)
		_, err := h.device.Answer(ctx, ph.enter(), in.id, altered)
		wantCode(t, err, "request.answer")
		if c := h.challenge(t, in.id); c.Standing != signin.Open {
			t.Fatalf("an answer that decides nothing changed the request: %+v", c)
		}
		entered := ph.enter()
		_, err = h.device.Answer(ctx, entered, in.id, good)
		must(t, err)
		_, err = h.device.Answer(ctx, ph.enter(), in.id, good)
		wantCode(t, err, "request.over")
		again := h.ask(t, ada, in.b)
		_, err = h.device.Answer(ctx, ph.enter(), again.id, good)
		wantCode(t, err, "request.answer")
		_, err = h.device.Answer(ctx, entered, again.id, ph.decide(again.id, again.number, "approve"))
		wantCode(t, err, "device.refused") // the same call twice
	})
}

func TestAnAnswerWithoutItsOwnUnlockingApprovesNothing(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, ph := h.paired(t, "ada")
		in := h.ask(t, ada, h.Browser())
		bare := ph.decide(in.id, in.number, "approve")
		bare.Unlock = nil
		_, err := h.device.Answer(ctx, ph.enter(), in.id, bare)
		wantCode(t, err, "request.unlock")
		other := ph.decide(in.id, in.number, "approve")
		other.Unlock = ph.over("something else")
		_, err = h.device.Answer(ctx, ph.enter(), in.id, other)
		wantCode(t, err, "request.answer")
		unseen := softkey.New(appOrigin)
		unseen.NotVerified = true
		for _, c := range ph.unlock.Credentials() {
			unseen.Add(c)
		}
		honest := ph.unlock
		ph.unlock = unseen
		_, err = ph.answer(in.id, in.number, "approve")
		wantCode(t, err, "request.answer")
		ph.unlock = honest
		if c := h.challenge(t, in.id); c.Standing != signin.Open || c.Proof != nil {
			t.Fatalf("%+v", c)
		}
		// To refuse needs no unlocking: nobody is kept from saying no.
		if standing, err := ph.answer(in.id, "", "deny"); err != nil || standing != "denied" {
			t.Errorf("%s %v", standing, err)
		}
	})
}

// A copy of the unlocking passkey answers with a counter that was seen before: nothing is approved, and the member hears
// of it.
func TestACopyOfThePasskeyIsFoundOut(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.member(t, "ada")
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		ph := newPhone(t, h)
		ph.unlock.Count = true
		_, err = ph.claim(v.Link)
		must(t, err)
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
		must(t, err)
		copied := softkey.New(appOrigin)
		copied.Count = true
		for _, c := range ph.unlock.Credentials() {
			copied.Add(c)
		}
		in := h.ask(t, ada, h.Browser())
		_, err = ph.answer(in.id, in.number, "approve")
		must(t, err)
		in.b.Answer(in.ref, method.App, method.Answer{}, false)
		h.Clock.Add(20 * time.Minute)
		in = h.ask(t, ada, h.Browser())
		ph.unlock = copied
		_, err = ph.answer(in.id, in.number, "approve")
		wantCode(t, err, "request.answer")
		if h.challenge(t, in.id).Standing != signin.Open || !slices.Contains(h.Notices(ada), "method.risk") {
			t.Errorf("%v", h.Notices(ada))
		}
	})
}

func TestOverIsOver(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, ph := h.paired(t, "ada")
		in := h.ask(t, ada, h.Browser())
		h.Clock.Add(signin.ChallengeFor + time.Second)
		_, err := ph.answer(in.id, in.number, "approve")
		wantCode(t, err, "request.over")
		if list, _, err := h.device.Requests(ctx, ph.enter()); err != nil || len(list) != 0 {
			t.Errorf("%+v %v", list, err)
		}
		in = h.ask(t, ada, in.b)
		s, err := h.Flow.Send(ctx, in.b.Caller, in.ref, method.App, "")
		must(t, err)
		_, err = ph.answer(in.id, in.number, "approve")
		wantCode(t, err, "request.over")
		_, err = ph.answer(s.Sending.ID, s.Sending.Number, "approve")
		must(t, err)
		// A request goes with its attempt: whoever signs out everywhere ends what waits.
		in = h.ask(t, ada, in.b)
		must(t, h.inTx(ctx, func(s device.Store) error {
			_, err := signin.EndEverything(ctx, s, ada.ID)
			return err
		}))
		_, err = ph.answer(in.id, in.number, "approve")
		wantCode(t, err, "request.over")
		_, err = ph.answer("nothing", "47", "approve")
		wantCode(t, err, "request.over")
	})
}

func TestExtendingAddsFiveMinutesUpToTheEnd(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, ph := h.paired(t, "ada")
		in := h.ask(t, ada, h.Browser())
		before := h.challenge(t, in.id)
		until, err := h.device.Extend(ctx, ph.enter(), in.id)
		if err != nil || !until.Equal(before.Expires.Add(signin.ChallengeFor)) {
			t.Fatalf("%v %v", until, err)
		}
		for range 10 {
			if _, err = h.device.Extend(ctx, ph.enter(), in.id); err != nil {
				break
			}
		}
		wantCode(t, err, "request.no_more_time")
		if c := h.challenge(t, in.id); c.Expires.After(c.Ends) || c.Ends.After(c.Created.Add(signin.ChallengeMax)) {
			t.Errorf("%+v", c)
		}
	})
}

// Attack G46: "No, it's not me" ends the attempt, blocks where it came from, is an incident, ends sessions and asks for a
// new password; the account is not locked.
func TestG46_NotMeBlocksTheSourceAndAlerts(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, home, ph := h.paired(t, "ada")
		stranger := h.Browser()
		in := h.ask(t, ada, stranger)
		standing, err := ph.answer(in.id, "", "report")
		must(t, err)
		if standing != "reported" || h.challenge(t, in.id).Standing != signin.Reported {
			t.Fatalf("%s", standing)
		}
		if len(h.Sessions(ada)) != 0 {
			t.Error("the member's sessions go on")
		}
		var person people.Person
		var open []incident.Incident
		must(t, h.inTx(ctx, func(s device.Store) (err error) {
			if person, err = s.PersonByID(ctx, ada.ID); err == nil {
				open, err = s.Incidents(ctx, string(ada.ID), false, 10)
			}
			return err
		}))
		if !person.NewPassword || person.State != people.Active {
			t.Errorf("new password %v, state %s", person.NewPassword, person.State)
		}
		if len(open) != 1 || open[0].Kind != incident.Reported || open[0].Object != in.id || open[0].Personal["address"] == "" {
			t.Errorf("%+v", open)
		}
		if !slices.Contains(h.Notices(ada), "approval.reported") || !slices.Contains(h.Acts(ada), "approval.reported done") {
			t.Errorf("%v %v", h.Notices(ada), h.Acts(ada))
		}
		if s := in.b.Answer(in.ref, method.App, method.Answer{}, false); s.Kind == signin.StepDone {
			t.Error("the reported attempt goes on")
		}
		s := stranger.Open(signin.Target{})
		s = stranger.Type(stranger.Identify(s.Attempt, "ada").Attempt, "violet tractors sing at noon")
		if s.Method == method.App && s.Sending != nil {
			t.Error("the blocked source sends requests")
		}
		// The member signs in from their own browser, which nobody blocked.
		h.ask(t, ada, home)
	})
}

func TestPolicyMayKeepSessionsAndPassword(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		set := policy.Default()
		set.App = policy.AppSettings{KeepSessions: true, KeepPassword: true}
		ada, _, ph := h.paired(t, "ada")
		h.Policy(set)
		in := h.ask(t, ada, h.Browser())
		_, err := ph.answer(in.id, "", "report")
		must(t, err)
		var person people.Person
		must(t, h.inTx(ctx, func(s device.Store) (err error) {
			person, err = s.PersonByID(ctx, ada.ID)
			return err
		}))
		if person.NewPassword || len(h.Sessions(ada)) != 1 {
			t.Errorf("new password %v, %d sessions", person.NewPassword, len(h.Sessions(ada)))
		}
	})
}

func TestWhatAPhoneShowsIsOneCleanLine(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, _, ph := h.paired(t, "ada")
		h.Application("lib", "Library\u202egpj.exe\nApprove: yes", "web")
		b := h.Browser()
		b.Agent = "Firefox\u2066\r\nNumber: 47\u200f" + strings.Repeat("x", 500)
		s := b.Open(signin.Target{Application: "lib"})
		s = b.Type(b.Identify(s.Attempt, "ada").Attempt, "violet tractors sing at noon")
		if s.Sending == nil {
			t.Fatalf("%+v", s)
		}
		list, _, err := h.device.Requests(ctx, ph.enter())
		must(t, err)
		if len(list) != 1 || list[0].Application != "Librarygpj.exe Approve: yes" || !strings.HasPrefix(list[0].Agent, "Firefox Number: 47x") || len(list[0].Agent) > 200 {
			t.Errorf("%+v", list)
		}
	})
}
