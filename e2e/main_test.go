package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
)

// axeFile is axe-core as npm installs it.
const axeFile = "node_modules/axe-core/axe.min.js"

// built is the program under test, built once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "gatehouse")
	out, err := exec.Command("go", "build", "-o", program, "../cmd/gatehouse").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return program, nil
})

// chromium is one browser for all tests; each visitor is a tab with cookies of its own.
var chromium = sync.OnceValues(func() (*browser.Browser, error) {
	b, err := browser.Start(context.Background())
	if err == nil {
		cleanups = append(cleanups, b.Close)
	}
	return b, err
})

var cleanups []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, c := range cleanups {
		c()
	}
	os.Exit(code)
}

// newTab is a visitor who was never here. At its end the console must have been silent.
func newTab(t *testing.T) *browser.Tab {
	t.Helper()
	b, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	tab, err := b.Tab()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range tab.Problems() {
			t.Errorf("the browser's console: %s", p)
		}
		tab.Close()
	})
	return tab
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// accessible fails on serious findings of axe-core, and where the page is wider than its window.
func accessible(t *testing.T, tab *browser.Tab, what string) {
	t.Helper()
	found, err := tab.Axe(axeFile)
	must(t, err)
	for _, f := range found {
		if f.Serious() {
			t.Errorf("%s: %s", what, f)
		}
	}
	wide, err := browser.Eval[bool](tab, "document.documentElement.scrollWidth > document.documentElement.clientWidth")
	must(t, err)
	if wide {
		t.Errorf("%s: the page is wider than its window", what)
	}
}
