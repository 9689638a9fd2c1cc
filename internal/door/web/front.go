package web

import (
	"bytes"
	"crypto/rand"
	"html"
	"reflect"
	"strings"
	"sync"
)

// fronts keep the first page of a sign-in ready. It is what everybody asks for, and before anything was typed two browsers'
// pages differ in two values alone: the sealed attempt and the passkey challenge. The template runs once for each
// language and application, with marks in their places; from then on a page is copied around the values.
type fronts struct {
	attempt, passkey string // marks: random letters and digits, which no context of a page rewrites
	mu               sync.RWMutex
	ready            map[frontKey][]string
}

// frontKey is what else such a page shows.
type frontKey struct{ lang, title, help, app, wayOut, topic string }

// maxFronts bounds the pages kept, about 8 KiB each; beyond it the template runs.
const maxFronts = 64

func newFronts() *fronts {
	return &fronts{attempt: rand.Text(), passkey: rand.Text(), ready: map[frontKey][]string{}}
}

// fresh gives the page that shows nothing but key, the attempt and the challenge.
func (k frontKey) fresh(attempt, passkey, restart string) identifyPage {
	var p identifyPage
	p.Lang, p.Title, p.Help, p.App, p.WayOut, p.Topic = k.lang, k.title, k.help, k.app, k.wayOut, k.topic
	p.Attempt, p.Passkey, p.Restart, p.Passkeys, p.FocusName = attempt, passkey, restart, true, true
	return p
}

// writeFront writes the page where it is a fresh one; false: nothing was written. A field that frontKey does not know
// makes a page no fresh one, so that whatever is added to pages later is shown.
func (p *Pages) writeFront(buf *bytes.Buffer, pg *identifyPage) (bool, error) {
	k := frontKey{pg.Lang, pg.Title, pg.Help, pg.App, pg.WayOut, pg.Topic}
	if pg.Passkey == "" || !isRef(pg.Attempt) || !reflect.DeepEqual(*pg, k.fresh(pg.Attempt, pg.Passkey, pg.Restart)) {
		return false, nil
	}
	pieces, err := p.front(k)
	if err != nil || pieces == nil {
		return false, err
	}
	for _, piece := range pieces {
		switch piece {
		case p.fronts.attempt:
			buf.WriteString(pg.Attempt)
		case p.fronts.passkey:
			buf.WriteString(html.EscapeString(pg.Passkey))
		default:
			buf.WriteString(piece)
		}
	}
	return true, nil
}

// front gives the page's pieces, the marks between them; nil where there are too many pages already.
func (p *Pages) front(k frontKey) ([]string, error) {
	f := p.fronts
	f.mu.RLock()
	pieces, full := f.ready[k], len(f.ready) >= maxFronts
	f.mu.RUnlock()
	if pieces != nil || full {
		return pieces, nil
	}
	var buf bytes.Buffer
	fresh := k.fresh(f.attempt, f.passkey, "")
	if err := p.execute(&buf, &fresh); err != nil {
		return nil, err
	}
	for i, part := range strings.Split(buf.String(), f.attempt) {
		if i > 0 {
			pieces = append(pieces, f.attempt)
		}
		for j, piece := range strings.Split(part, f.passkey) {
			if j > 0 {
				pieces = append(pieces, f.passkey)
			}
			pieces = append(pieces, piece)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready[k] = pieces
	return pieces, nil
}

// isRef reports whether an attempt can stand in every context of a page as it is: our refs are base64url.
func isRef(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}
