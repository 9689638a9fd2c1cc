package archtest

import (
	"flag"
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// withstood are the attacks that the present release promises to withstand. The list grows and never shrinks.
const withstood = "G1 G3 G7 G8 G12 G13 G14 G18 G21 G22 G27 G29 G30 G32 G40 G44 G56 G65 G66 G67 G71 G72 G73 G75 G77 G79 " +
	"G80 G81 G91 G93 G94 G95 G96 G99 G100 G102 G103 G107 G109 G111 G128 G132 G133 G134 G135 G136 G138 G141 G142"

var update = flag.Bool("update", false, "write the tests' names into docs/attacks.md")

var attackTest = regexp.MustCompile(`^Test((?:G\d+_)+)`)

// attackTests gives the tests by the number of the attack in their names: TestG29_… or TestG93_G94_….
func attackTests(files []File) map[string][]string {
	found := map[string][]string{}
	for _, f := range files {
		if !f.Test {
			continue
		}
		for _, d := range f.Syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil {
				continue
			}
			m := attackTest.FindStringSubmatch(fn.Name.Name)
			if m == nil {
				continue
			}
			for number := range strings.SplitSeq(strings.TrimSuffix(m[1], "_"), "_") {
				found[number] = append(found[number], f.Package+"."+fn.Name.Name)
			}
		}
	}
	return found
}

// The table in docs/attacks.md names every such test, and nothing that is not there.
func TestEveryAttackHasItsTestAndItsLine(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "attacks.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if m := regexp.MustCompile(`^\s*(G\d+)\s*$`).FindStringSubmatch(cells[0]); m != nil && len(cells) == 3 {
			listed[m[1]] = append([]string{}, quoted(cells[2])...)
		}
	}
	found := attackTests(tree(t))
	if *update {
		rewrite(t, string(text), found)
		return
	}
	for _, number := range strings.Fields(withstood) {
		if len(found[number]) == 0 {
			t.Errorf("%s has no test named for it", number)
		}
		if listed[number] == nil {
			t.Errorf("docs/attacks.md has no line for %s", number)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(found)) {
		for _, name := range found[number] {
			if !slices.Contains(listed[number], name) {
				t.Errorf("docs/attacks.md does not name %s in the line of %s", name, number)
			}
		}
	}
	for _, number := range slices.Sorted(maps.Keys(listed)) {
		for _, name := range listed[number] {
			if !slices.Contains(found[number], name) {
				t.Errorf("docs/attacks.md names %s in the line of %s; there is no such test", name, number)
			}
		}
	}
}

// rewrite fills the right column of the table.
func rewrite(t *testing.T, text string, found map[string][]string) {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		number := strings.TrimSpace(cells[0])
		if len(cells) != 3 || !regexp.MustCompile(`^G\d+$`).MatchString(number) {
			out.WriteString(line)
			continue
		}
		names := slices.Sorted(slices.Values(found[number]))
		for i, name := range names {
			names[i] = "`" + name + "`"
		}
		out.WriteString("| " + number + " | " + strings.TrimSpace(cells[1]) + " | " + strings.Join(names, "<br>") + " |\n")
	}
	if err := os.WriteFile(filepath.Join(root, "docs", "attacks.md"), []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
