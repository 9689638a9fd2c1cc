package browser

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// find is JavaScript that finds what a person would: visible, enabled, named by its text, label or title. It scrolls it
// into view and gives its middle in CSS pixels.
const find = `((kind, name) => {
  const fold = s => (s || '').replace(/\s+/g, ' ').trim().toLowerCase();
  const named = e => {
    const labels = e.labels ? [...e.labels].map(l => l.innerText) : [];
    const by = (e.getAttribute('aria-labelledby') || '').split(/\s+/).filter(Boolean).map(i => document.getElementById(i)?.innerText);
    return [...labels, ...by, e.getAttribute('aria-label'), e.title, e.innerText, e.type === 'submit' ? e.value : ''].map(fold);
  };
  const visible = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length > 0;
  const all = [...document.querySelectorAll(kind === 'field'
    ? 'input:not([type=hidden]):not([type=submit]), textarea, select'
    : 'a[href], button, summary, input[type=submit], label, [role=button]')];
  const fits = all.filter(e => !e.disabled && (visible(e) || (kind === 'field' && e.labels && [...e.labels].some(visible))));
  const want = fold(name);
  const e = fits.find(e => named(e).includes(want)) || fits.find(e => named(e).some(n => n.startsWith(want))) ||
            fits.find(e => named(e).some(n => n && n.includes(want)));
  if (!e) return null;
  if (kind === 'field') { e.focus(); if (e.select && e.type !== 'checkbox' && e.type !== 'radio') e.select(); }
  e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
  const r = e.getBoundingClientRect();
  return {x: r.x + r.width / 2, y: r.y + r.height / 2};
})`

func call(kind, name string) string {
	text, err := json.Marshal(name)
	if err != nil {
		panic(err) // a string always encodes
	}
	return fmt.Sprintf("%s(%q, %s)", find, kind, text)
}

type point struct{ X, Y float64 }

// Click presses the button, link or label that says name: exactly, else beginning so, else containing it.
func (t *Tab) Click(name string) error {
	var at *point
	err := t.until(fmt.Sprintf("something to press that says %q", name), func() (bool, error) {
		var err error
		at, err = Eval[*point](t, call("press", name))
		return at != nil, err
	})
	if err != nil {
		return err
	}
	return chromedp.Do(t.ctx, chromedp.MouseClickXY(at.X, at.Y))
}

// Has reports whether there is something to press that says name, now.
func (t *Tab) Has(name string) (bool, error) {
	at, err := Eval[*point](t, call("press", name))
	return at != nil, err
}

// Fill types value into the field labelled name, in place of what was there.
func (t *Tab) Fill(name, value string) error {
	err := t.until(fmt.Sprintf("a field labelled %q", name), func() (bool, error) {
		at, err := Eval[*point](t, call("field", name))
		return at != nil, err
	})
	if err != nil {
		return err
	}
	return t.Type(value)
}

// Type presses the keys of text where the focus is.
func (t *Tab) Type(text string) error { return chromedp.Do(t.ctx, chromedp.KeyEvent(text)) }

// Press presses one key: "Tab", "Shift+Tab", "Enter", "Space", "Escape".
func (t *Tab) Press(key string) error {
	switch key {
	case "Tab":
		return t.Type(kb.Tab)
	case "Shift+Tab":
		return chromedp.Do(t.ctx, chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)))
	case "Enter":
		return t.Type(kb.Enter)
	case "Space":
		return t.Type(" ")
	case "Escape":
		return t.Type(kb.Escape)
	}
	return fmt.Errorf("browser: no key %q", key)
}

// Focused is what a screen reader would say of the focused element: its name, and whether a focus ring is drawn.
func (t *Tab) Focused() (name string, ring bool, err error) {
	got, err := Eval[struct {
		Name string
		Ring bool
	}](t, `(() => {
  const e = document.activeElement;
  if (!e || e === document.body) return {Name: '', Ring: false};
  const label = e.labels && e.labels.length ? e.labels[0].innerText : '';
  const s = getComputedStyle(e);
  const ring = e.matches(':focus-visible') && ((s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none');
  return {Name: (label || e.getAttribute('aria-label') || e.innerText || e.value || e.name || e.tagName).replace(/\s+/g, ' ').trim(), Ring: ring};
})()`)
	return got.Name, got.Ring, err
}

// TabTo presses Tab until the focus is on what begins with name, and fails where it never comes there or where no focus ring
// is drawn.
func (t *Tab) TabTo(name string) error {
	var seen []string
	for range 80 {
		at, ring, err := t.Focused()
		if err != nil {
			return err
		}
		if strings.HasPrefix(fold(at), fold(name)) {
			return t.showsFocus(at, ring)
		}
		seen = append(seen, at)
		if err := t.Press("Tab"); err != nil {
			return err
		}
	}
	return fmt.Errorf("the Tab key never came to %q; it came to %q", name, seen)
}

// showsFocus fails where the focused element at shows no ring. A page that has just come has the focus a moment before its
// window has, so it looks again for a while.
func (t *Tab) showsFocus(at string, ring bool) error {
	for range 100 {
		if ring {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
		now, shown, err := t.Focused()
		if err != nil {
			return err
		}
		if now != at {
			break
		}
		ring = shown
	}
	return fmt.Errorf("%q has the focus and does not show it", at)
}

// Screenshot is the visible part of the page as PNG.
func (t *Tab) Screenshot() ([]byte, error) {
	got, err := chromedp.Call(t.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng})
	return got.Data, err
}
