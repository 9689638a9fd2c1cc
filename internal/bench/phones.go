package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
)

// passcodeStep is how long a passcode is shown.
const passcodeStep = 30 * time.Second

// PhoneOperations are the sign-ins with a second proof, of a house whose password hash costs next to nothing: what is left
// is measured.
func (h *House) PhoneOperations() []Operation {
	return []Operation{{Name: PasscodeSignIn, Do: h.passcodeSignIn}, {Name: AppSignIn, Do: h.appSignIn}}
}

// passcodeSignIn is a stranger's browser: name, password, and the passcode that the member's app shows.
func (h *House) passcodeSignIn(ctx context.Context, w *Worker) error {
	coder, at := h.coder()
	a, err := h.typePassword(ctx, w, h.Coder(coder))
	if err != nil {
		return err
	}
	page, err := w.onward(ctx, a)
	if err != nil {
		return err
	}
	return h.arrive(w.Do(ctx, Request{Method: http.MethodPost, Path: "/signin/totp", Page: true,
		Form: url.Values{"attempt": {Field(page, "attempt")}, "answer": {h.Passcode(coder, at)}}}))
}

// coder is somebody who was not asked for a passcode in this step yet: each is good once. Where all of them were, the
// worker waits for the next step, which costs the server nothing.
func (h *House) coder() (n int, at time.Time) {
	n = int(h.next.Add(1) % uint64(h.Coders))
	v, _ := h.used.LoadOrStore(n, new(atomic.Int64))
	used := v.(*atomic.Int64)
	for {
		at = time.Now()
		if step := at.UnixNano() / int64(passcodeStep); used.Swap(step) != step {
			return n, at
		}
		time.Sleep(at.Truncate(passcodeStep).Add(passcodeStep).Sub(at))
	}
}

// onward follows to the page that stands next and gives it.
func (w *Worker) onward(ctx context.Context, a Answer) ([]byte, error) {
	if a.Status != http.StatusSeeOther || a.Location == "/apps" {
		return nil, fmt.Errorf("no second proof is asked for: status %d, to %q: %s", a.Status, a.Location, firstText(a.Body))
	}
	page, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodGet, Path: a.Location, Page: true})
	return page.Body, err
}

// appSignIn is a stranger's browser and the member's phone: name, password, the page that waits, the phone's fetch and its
// signed answer, and the browser going on.
func (h *House) appSignIn(ctx context.Context, w *Worker) error {
	m := h.Members[int(h.next.Add(1)%uint64(len(h.Members)))]
	attempt, number, err := h.ask(ctx, w, m)
	if err != nil {
		return err
	}
	r, err := m.fetch(ctx)
	if err == nil {
		err = m.Phone.Approve(ctx, r, number)
	}
	if err != nil {
		return err
	}
	return h.goOn(ctx, w, attempt)
}

// ask brings a browser to the page that waits for m's phone.
func (h *House) ask(ctx context.Context, w *Worker, m Member) (attempt, number string, err error) {
	a, err := h.typePassword(ctx, w, m.Name)
	if err != nil {
		return "", "", err
	}
	page, err := w.onward(ctx, a)
	if err != nil {
		return "", "", err
	}
	attempt, number = Field(page, "attempt"), numberOn(page)
	if attempt == "" || number == "" {
		err = fmt.Errorf("the page shows no number: %s", firstText(page))
	}
	return attempt, number, err
}

func (m Member) fetch(ctx context.Context) (softphone.Request, error) {
	list, err := m.Phone.Requests(ctx, 0)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d requests wait for %s", len(list), m.Name)
	}
	if err != nil {
		return softphone.Request{}, err
	}
	return list[0], nil
}

func (h *House) goOn(ctx context.Context, w *Worker, attempt string) error {
	return h.arrive(w.Do(ctx, Request{Method: http.MethodGet, Path: "/signin/next?attempt=" + url.QueryEscape(attempt), Page: true}))
}

// numberOn is the number that a page shows, "" where it shows none.
func numberOn(page []byte) string {
	_, rest, ok := bytes.Cut(page, []byte(`<p class="number`))
	if !ok {
		return ""
	}
	if _, rest, ok = bytes.Cut(rest, []byte(`<span aria-hidden="true">`)); !ok {
		return ""
	}
	shown, _, _ := bytes.Cut(rest, []byte(`<span class="hide"`))
	var digits []byte
	for _, c := range shown {
		if c >= '0' && c <= '9' {
			digits = append(digits, c)
		}
	}
	return string(digits)
}

// MovedOn measures how long it takes from the phone's answer until the browser, which listens, has gone on: the answer is
// sent, its event arrives, /signin/next is answered. What comes before is not counted.
func (h *House) MovedOn() Operation {
	return Operation{Name: MovedOn, Do: func(ctx context.Context, w *Worker) error {
		m := h.Members[int(h.next.Add(1)%uint64(len(h.Members)))]
		attempt, number, err := h.ask(ctx, w, m)
		if err != nil {
			return err
		}
		stream, err := w.Listen(ctx, attempt)
		if err != nil {
			return err
		}
		defer stream.Close()
		r, err := m.fetch(ctx)
		if err != nil {
			return err
		}
		decision, err := m.Phone.Decide(r, "approve", number)
		if err != nil {
			return err
		}
		sent := make(chan error, 1)
		began := time.Now()
		go func() {
			standing, err := m.Phone.SendDecision(ctx, r.ID, decision)
			if err == nil && standing != "approved" {
				err = errors.New("the phone's answer came to " + standing)
			}
			sent <- err
		}()
		if err = stream.Await("approved"); err == nil {
			err = h.goOn(ctx, w, attempt)
		}
		w.took = time.Since(began)
		return errors.Join(err, <-sent)
	}}
}

// standingIn reads the standing out of a line of an event stream, "" where it has none.
func standingIn(line string) string {
	_, rest, ok := strings.Cut(line, `"standing":"`)
	if !ok || !strings.HasPrefix(line, "data:") {
		return ""
	}
	standing, _, _ := strings.Cut(rest, `"`)
	return standing
}
