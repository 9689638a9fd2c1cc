package archtest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// modules gives the modules that go.mod requires.
func modules(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+/\S+|\S+\.\S+) v\d`).FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	return out
}

func TestEveryDependencyIsExplained(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+/[^`]+)` \\| [A-Z]").FindAllStringSubmatch(string(text), -1) {
		listed[m[1]] = true
	}
	required := modules(t)
	if len(listed) < 10 || len(required) < 10 {
		t.Fatalf("%d modules listed, %d required; they were not read", len(listed), len(required))
	}
	used := map[string]string{}
	for _, f := range tree(t) {
		for _, p := range f.Imports() {
			for _, m := range required {
				if p == m || strings.HasPrefix(p, m+"/") {
					used[m] = f.Path
				}
			}
		}
	}
	for _, m := range slices.Sorted(maps.Keys(used)) {
		if !listed[m] {
			t.Errorf("%s imports %s, which docs/dependencies.md does not explain", used[m], m)
		}
	}
	for _, m := range slices.Sorted(maps.Keys(listed)) {
		if used[m] == "" {
			t.Errorf("docs/dependencies.md lists %s, which nothing imports", m)
		}
	}
}
