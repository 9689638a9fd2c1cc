package web

import (
	"bytes"
	"crypto/rand"
	"html/template"
	"reflect"
	"strings"
	"sync"
)

// fronts keep the pages ready that everybody sees alike: the first one of a sign-in, and the ones that ask for a proof.
// Before anything went wrong two browsers' pages differ in three values alone: the sealed attempt, the passkey challenge
// and the name. The template runs once for each such page, with marks in their places; from then on the page is copied
// around the values.
//
//	page ─► marked (nil: it shows more than that) ─► equal to one that is kept? ─► its pieces and the values
//	                                                      └─ no: the template runs for the marked page, which is kept
type fronts struct {
	attempt, passkey, who string // marks: random letters and digits, which no context of a page rewrites
	mu                    sync.RWMutex
	ready                 map[frontKey][]front
	kept                  map[string]int // by the template's name: how many
}

// frontKey finds the few pages that one may be equal to.
type frontKey struct{ name, lang, app string }

// front is a page with marks, and what its template made of it, cut at the marks; these are pieces of their own.
type front struct {
	page   page
	pieces []string
}

// maxFronts bounds the pages kept of each template, about 8 KiB each; beyond it the template runs.
const maxFronts = 64

func newFronts() *fronts {
	return &fronts{attempt: rand.Text(), passkey: rand.Text(), who: rand.Text(), ready: map[frontKey][]front{}, kept: map[string]int{}}
}

// marked gives a copy of a page with marks in the places of its values, nil where it is none that others see alike: it
// tells of a problem, of an act, of a session or of something that was sent.
func (f *fronts) marked(pg page) (page, *ask) {
	switch pg := pg.(type) {
	case *identifyPage:
		m := *pg
		if pg.Name == "" && f.mark(&m.ask) {
			return &m, &pg.ask
		}
	case *provePage:
		m := *pg
		if pg.Sending == nil && pg.Over == nil && pg.Ways == nil && f.mark(&m.ask) {
			return &m, &pg.ask
		}
	}
	return nil, nil
}

// restartAt is where a page begins again, before its attempt.
const restartAt = "/signin/name?attempt="

func (f *fronts) mark(a *ask) bool {
	if !isRef(a.Attempt) || a.Restart != restartAt+a.Attempt || a.Problem != nil || a.Here != "" || a.Flash != "" || a.Act != "" ||
		a.Session || a.PasskeyUnknown {
		return false
	}
	if a.WayOut == a.Restart {
		a.WayOut = restartAt + f.attempt
	}
	a.Attempt, a.Restart = f.attempt, restartAt+f.attempt
	if a.Passkey != "" {
		a.Passkey = f.passkey
	}
	if a.Who != "" {
		a.Who = f.who
	}
	return true
}

// writeFront writes a page that is kept ready, or becomes so; false: nothing was written. All that a page shows is compared
// but for the three values, so that whatever is added to pages later is shown.
func (p *Pages) writeFront(buf *bytes.Buffer, pg page) (bool, error) {
	marked, a := p.fronts.marked(pg)
	if marked == nil {
		return false, nil
	}
	pieces, err := p.front(frontKey{pg.name(), a.Lang, a.App}, pg, marked)
	if err != nil || pieces == nil {
		return false, err
	}
	for _, piece := range pieces {
		switch piece {
		case p.fronts.attempt:
			buf.WriteString(a.Attempt)
		case p.fronts.passkey:
			template.HTMLEscape(buf, []byte(a.Passkey))
		case p.fronts.who:
			template.HTMLEscape(buf, []byte(a.Who))
		default:
			buf.WriteString(piece)
		}
	}
	return true, nil
}

// front gives the pieces of a page, the marks among them; nil where there are too many pages already.
func (p *Pages) front(k frontKey, pg, marked page) ([]string, error) {
	f := p.fronts
	f.mu.RLock()
	pieces, full := f.find(k, marked), f.kept[k.name] >= maxFronts
	f.mu.RUnlock()
	if pieces != nil || full {
		return pieces, nil
	}
	shown, _ := f.marked(pg) // execute fills in what belongs to every page
	var buf bytes.Buffer
	if err := p.execute(&buf, shown); err != nil {
		return nil, err
	}
	made := front{marked, f.cut(buf.String())}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.find(k, marked) == nil && f.kept[k.name] < maxFronts {
		f.ready[k] = append(f.ready[k], made)
		f.kept[k.name]++
	}
	return made.pieces, nil
}

func (f *fronts) find(k frontKey, marked page) []string {
	for _, one := range f.ready[k] {
		if reflect.DeepEqual(one.page, marked) {
			return one.pieces
		}
	}
	return nil
}

// cut takes a page apart at its marks.
func (f *fronts) cut(text string) []string {
	pieces := []string{text}
	for _, mark := range []string{f.attempt, f.passkey, f.who} {
		var finer []string
		for _, piece := range pieces {
			for i, part := range strings.Split(piece, mark) {
				if i > 0 {
					finer = append(finer, mark)
				}
				finer = append(finer, part)
			}
		}
		pieces = finer
	}
	return pieces
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
