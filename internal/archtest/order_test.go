package archtest

import (
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const root = "../.."

func order(t *testing.T) []Line {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := ReadOrder(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) < 10 {
		t.Fatalf("ARCHITECTURE.md has a table of %d packages; it was not read", len(lines))
	}
	return lines
}

// read parses the tree once for all tests.
var read = sync.OnceValues(func() ([]File, error) { return ReadTree(root) })

func tree(t *testing.T) []File {
	t.Helper()
	files, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("%d Go files found; the tree was not read", len(files))
	}
	return files
}

// imported gives, for each package, what its own sources import, tests aside: ours and others'.
func imported(files []File) (ours, others map[string]map[string]string) {
	ours, others = map[string]map[string]string{}, map[string]map[string]string{}
	for _, f := range files {
		if ours[f.Package] == nil {
			ours[f.Package], others[f.Package] = map[string]string{}, map[string]string{}
		}
		if f.Test {
			continue
		}
		for _, p := range f.Imports() {
			if rest, ok := strings.CutPrefix(p, Module); ok {
				ours[f.Package][rest] = f.Path
			} else if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ".") {
				others[f.Package][p] = f.Path
			}
		}
	}
	return ours, others
}

func TestEveryPackageStandsInTheTableOnce(t *testing.T) {
	ours, _ := imported(tree(t))
	seen := map[string]bool{}
	for _, l := range order(t) {
		if seen[l.Package] {
			t.Errorf("%s stands twice in the table", l.Package)
		}
		seen[l.Package] = true
		if ours[l.Package] == nil {
			t.Errorf("the table names %s, which has no Go file", l.Package)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(ours)) {
		if !seen[p] {
			t.Errorf("%s is missing in the table", p)
		}
	}
}

func TestImportsAreNamedAndStandAbove(t *testing.T) {
	ours, others := imported(tree(t))
	above := map[string]bool{}
	for _, l := range order(t) {
		for p, file := range ours[l.Package] {
			if !slices.Contains(l.Imports, p) {
				t.Errorf("%s imports %s, which the line of %s does not name", file, p, l.Package)
			}
		}
		for _, p := range l.Imports {
			if !above[p] {
				t.Errorf("the line of %s names %s, which does not stand above it", l.Package, p)
			}
			if _, used := ours[l.Package][p]; !used && ours[l.Package] != nil {
				t.Errorf("the line of %s names %s, which it does not import", l.Package, p)
			}
		}
		checkOutside(t, l, others[l.Package])
		above[l.Package] = true
	}
}

func checkOutside(t *testing.T, l Line, imports map[string]string) {
	t.Helper()
	used := map[string]bool{}
	for p, file := range imports {
		i := slices.IndexFunc(l.Outside, func(prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") })
		if i < 0 {
			t.Errorf("%s imports %s, which the line of %s does not name", file, p, l.Package)
			continue
		}
		used[l.Outside[i]] = true
	}
	for _, prefix := range l.Outside {
		if !used[prefix] {
			t.Errorf("the line of %s names %s, which it does not import", l.Package, prefix)
		}
	}
}

// What each kind of package may name, beyond its own line. A kind that is missing here is a mistake.
var mayName = map[string][]string{
	"word":   {"word"},
	"room":   {"word", "room", "method"},
	"method": {"word", "room"},
	"flow":   {"word", "room", "flow"},
	"edge":   {"word", "room", "flow", "edge"},
	"door":   {"word", "room", "flow"},
	"main":   {"word", "room", "method", "flow", "edge", "door", "main", "test"},
	"test":   {"word", "room", "method", "flow", "edge", "door", "main", "test"},
}

// neighbours are imports that a kind does not allow and a reason does.
var neighbours = map[[2]string]string{
	{"internal/method/app", "internal/method/passkey"}: "the app is unlocked with a passkey of the phone",
	{"internal/device", "internal/method/app"}:         "the app's own flow judges what only its method can read",
	{"internal/device", "internal/method/oath"}:        "a phone is handed the secret of its passcodes when it is paired",
}

func TestKindsKeepTheirDistance(t *testing.T) {
	lines := order(t)
	kind := map[string]string{}
	for _, l := range lines {
		kind[l.Package] = l.Kind
	}
	for _, l := range lines {
		allowed, known := mayName[l.Kind]
		if !known {
			t.Errorf("%s is a %q, which is no kind of package", l.Package, l.Kind)
		}
		for _, p := range l.Imports {
			if l.Kind == "door" && p == "internal/door/httpdoor" {
				continue // what surrounds every HTTP door
			}
			if !slices.Contains(allowed, kind[p]) && neighbours[[2]string{l.Package, p}] == "" {
				t.Errorf("%s is a %s and may not import %s, a %s", l.Package, l.Kind, p, kind[p])
			}
		}
	}
}

// forbidden is what a room or a method does not touch: it reads no clock, no network, no database, no files.
var forbidden = []string{"net", "net/http", "database/sql", "os", "io/fs", "log", "log/slog", "net/smtp"}

func TestRoomsArePure(t *testing.T) {
	kind := map[string]string{}
	for _, l := range order(t) {
		kind[l.Package] = l.Kind
	}
	for _, f := range tree(t) {
		if f.Test || kind[f.Package] != "room" && kind[f.Package] != "method" {
			continue
		}
		for _, p := range f.Imports() {
			if slices.Contains(forbidden, p) {
				t.Errorf("%s is of a %s and imports %s", f.Path, kind[f.Package], p)
			}
		}
		f.Calls(func(x, name string, at *ast.CallExpr) {
			if x == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker", "AfterFunc"}, name) {
				t.Errorf("%s:%d: a %s reads no clock: time.%s", f.Path, f.LineOf(at), kind[f.Package], name)
			}
		})
	}
}

func TestOnlyMainAndTestsImportWhatOnlyTheyNeed(t *testing.T) {
	kind := map[string]string{}
	for _, l := range order(t) {
		kind[l.Package] = l.Kind
	}
	for _, f := range tree(t) {
		if f.Test || kind[f.Package] == "test" || kind[f.Package] == "main" {
			continue
		}
		for _, p := range f.Imports() {
			if p == "testing" || strings.HasPrefix(p, "testing/") && p != "testing/fstest" {
				t.Errorf("%s imports %s outside tests", f.Path, p)
			}
		}
	}
}
