package archtest

import (
	"bytes"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines     = 500
	maxFunctionLines = 60
)

func TestFilesAreShort(t *testing.T) {
	for _, f := range tree(t) {
		if f.Lines > maxFileLines && !f.Generated() {
			t.Errorf("%s has %d lines, more than %d", f.Path, f.Lines, maxFileLines)
		}
	}
}

// Functions of tests may be tables; the others end before a reader has forgotten how they began.
func TestFunctionsAreShort(t *testing.T) {
	for _, f := range tree(t) {
		if f.Test || f.Generated() {
			continue
		}
		for _, d := range f.Syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.Set.Position(fn.End()).Line - f.LineOf(fn) + 1; n > maxFunctionLines {
				t.Errorf("%s:%d: %s has %d lines, more than %d", f.Path, f.LineOf(fn), fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

// A package comment says what the package is for; one that draws the flow has several lines.
func TestEveryPackageHasAComment(t *testing.T) {
	comment := map[string]int{}
	for _, f := range tree(t) {
		if _, ok := comment[f.Package]; !ok {
			comment[f.Package] = 0
		}
		if f.Syntax.Doc != nil && (!f.Test || strings.HasPrefix(f.Package, "e2e")) {
			comment[f.Package] += len(strings.Fields(f.Syntax.Doc.Text()))
		}
	}
	for p, words := range comment {
		if words < 15 {
			t.Errorf("%s: the package comment has %d words; say what it is for and draw its flow", p, words)
		}
	}
}

func TestNoTestSkipsItself(t *testing.T) {
	for _, f := range tree(t) {
		f.Calls(func(x, name string, at *ast.CallExpr) {
			if (x == "t" || x == "b" || x == "f" || x == "tb") && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, name) {
				t.Errorf("%s:%d: %s.%s: a test that did not run proves nothing", f.Path, f.LineOf(at), x, name)
			}
			if x == "testing" && name == "Short" {
				t.Errorf("%s:%d: testing.Short: there is one suite", f.Path, f.LineOf(at))
			}
		})
	}
}

// A package named for what it is not says nothing about what belongs there.
func TestNoPackageIsADrawer(t *testing.T) {
	for _, f := range tree(t) {
		for _, part := range strings.Split(f.Package, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "shared"}, part) {
				t.Errorf("%s lies in a drawer named %s", f.Path, part)
			}
		}
	}
}

func TestNoInitFunction(t *testing.T) {
	for _, f := range tree(t) {
		for _, d := range f.Syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: init runs before anybody asked; call it by name", f.Path, f.LineOf(fn))
			}
		}
	}
}

// Places on one machine, package registries' hosts and unfinished marks have no business in the repository. The
// patterns are written so that they do not match themselves.
var unwanted = map[string]*regexp.Regexp{
	"a path of one machine":     regexp.MustCompile(`(^|[^\w./-])/(roo[t]|wor[k]|hom[e]/\w+|Users/\w+)/\w`),
	"a package registry's host": regexp.MustCompile(`registr[y]\.[a-z]+\.(org|com)|prox[y]\.golang\.org`),
	"an unfinished mark":        regexp.MustCompile(`\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b`),
}

func TestRepositorySpeaksOfTheProductAlone(t *testing.T) {
	text := []string{".go", ".md", ".yaml", ".yml", ".json", ".mjs", ".js", ".css", ".html", ".tmpl", ".sql", ".txtar", ".sh", ".mod", ""}
	err := walk(root, func(rel string) error {
		if !slices.Contains(text, path.Ext(rel)) || strings.Contains(rel, "testdata/fuzz/") {
			return nil
		}
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(rel)))
		if err != nil {
			return err
		}
		if bytes.IndexByte(content, 0) >= 0 {
			return nil // a built program
		}
		for i, line := range strings.Split(string(content), "\n") {
			for what, pattern := range unwanted {
				if m := pattern.FindString(line); m != "" {
					t.Errorf("%s:%d: %s: %q", rel, i+1, what, m)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
