package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/campus"
)

var (
	yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	topKey    = regexp.MustCompile(`(?m)^([a-z_]+):`)
	groupName = regexp.MustCompile(`(?m)groups: \[([^\]]*)\]`)
)

// completed is an example of the documentation with what it leaves out.
func completed(example string, rest ...[2]string) string {
	have := map[string]bool{}
	for _, m := range topKey.FindAllStringSubmatch(example, -1) {
		have[m[1]] = true
	}
	for _, r := range rest {
		if !have[r[0]] {
			example += r[0] + ": " + r[1] + "\n"
		}
	}
	return example
}

// TestWhatTheDocumentationShowsIsAccepted: each example of a configuration and of a campus file, as it is printed.
func TestWhatTheDocumentationShowsIsAccepted(t *testing.T) {
	seen := 0
	for _, page := range []string{"running.md", "configuration.md", "policy.md"} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			seen++
			t.Run(fmt.Sprint(page, " ", i+1), func(t *testing.T) {
				if page == "policy.md" {
					acceptedCampus(t, m[1])
					return
				}
				rest := [][2]string{{"base_url", "https://signin.example.ac.uk"}, {"listen", "':443'"}, {"database", "g.db"}, {"key_file", "k"}}
				if !strings.Contains(m[1], "http://localhost") && !strings.Contains(m[1], "behind_proxy:") {
					rest = append(rest, [2]string{"tls", "{cert: c, key: k}"})
				}
				path := filepath.Join(t.TempDir(), "gatehouse.yaml")
				if err := os.WriteFile(path, []byte(completed(m[1], rest...)), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := loadConfig(path); err != nil {
					t.Errorf("%v\n%s", err, m[1])
				}
			})
		}
	}
	if seen < 10 {
		t.Errorf("%d examples", seen)
	}
}

// acceptedCampus parses a part of a campus file; what only another part could say is added.
func acceptedCampus(t *testing.T, example string) {
	if strings.HasPrefix(example, " ") {
		example = "policy:\n" + example
	}
	if !strings.Contains(example, "rules:") {
		example = strings.Replace(example, "policy:\n", "policy:\n  rules: [{ name: everybody, strength: mfa }]\n", 1)
	}
	groups := map[string]bool{}
	for _, m := range groupName.FindAllStringSubmatch(example, -1) {
		for name := range strings.SplitSeq(m[1], ",") {
			groups[strings.TrimSpace(name)] = true
		}
	}
	var list strings.Builder
	for name := range groups {
		fmt.Fprintf(&list, "{name: %s}, ", name)
	}
	const oidc = ", oidc: { secret: none, redirect_uris: ['https://a.example/cb'] }"
	src := completed(example, [2]string{"id", "test"}, [2]string{"name", "Test"}, [2]string{"groups", "[" + list.String() + "]"},
		[2]string{"applications", "[{ id: records, name: Patient records, category: clinical" + oidc + " }, { id: rota, name: Rota, category: clinical" + oidc + " }]"})
	if _, err := campus.Parse("campus.yaml", []byte(src)); err != nil {
		t.Errorf("%v\n%s", err, src)
	}
}
