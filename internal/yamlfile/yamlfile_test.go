package yamlfile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/yamlfile"
)

type sample struct {
	Name  string            `yaml:"name,required"`
	Count int               `yaml:"count"`
	On    bool              `yaml:"on"`
	For   yamlfile.Duration `yaml:"for"`
	List  []string          `yaml:"list"`
	Parts []part            `yaml:"parts"`
	Table map[string]int    `yaml:"table"`
	Deep  *part             `yaml:"deep"`
}

type part struct {
	Word string `yaml:"word,required"`
}

func TestDecode(t *testing.T) {
	src := "# a comment\nname: Ünï\ncount: 3\non: true\nfor: 30d\nlist: [a, 'b: c']\nparts:\n  - word: x\n  - { word: y }\ntable: { one: 1 }\ndeep:\n  word: |\n    two\n    lines\n"
	var s sample
	if _, err := yamlfile.Decode("f.yaml", []byte(src), &s); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s %d %v %v %q %v %v %q", s.Name, s.Count, s.On, s.For.Std(), s.List, s.Parts, s.Table, s.Deep.Word); got != `Ünï 3 true 720h0m0s ["a" "b: c"] [{x} {y}] map[one:1] "two\nlines\n"` {
		t.Error(got)
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"unknown", "name: x\ncoutn: 3", "f.yaml:2:1: unknown key \"coutn\": write \"count\"\n    coutn: 3\n    ^"},
		{"unknown, nothing alike", "name: x\nzzzzzz: 3", "write one of name, count, on, for, list, parts, table, deep"},
		{"unknown in a list", "name: x\nparts:\n  - word: a\n    wrod: b", "f.yaml:4:5: unknown key \"wrod\": write \"word\""},
		{"missing", "count: 3", "f.yaml:1:1: \"name\" is missing here: add it"},
		{"missing in a list", "name: x\nparts:\n  - word: a\n  - {}", "f.yaml:4:5: \"word\" is missing"},
		{"twice", "name: x\nname: y", "f.yaml:2:1: "},
		{"a number for a text", "name: 0123", "f.yaml:1:7: write this in quotes, it is a text: \"0123\""},
		{"a word for a number", "name: x\ncount: many", "f.yaml:2:8: write a whole number here"},
		{"a fraction", "name: x\ncount: 1.5", "write a whole number"},
		{"a word for a switch", "name: x\non: maybe", "f.yaml:2:5: write true or false here"},
		{"time without a unit", "name: x\nfor: 30", "f.yaml:2:6: write a time as a whole number and a unit: 45s, 5m, 8h or 30d"},
		{"time too long", "name: x\nfor: 4294967295d", "write a time"},
		{"a list as a word", "name: x\nlist: a", "f.yaml:2:7: write a list here"},
		{"a table as a list", "name: x\ntable: [a]", "f.yaml:2:8: write names and values here"},
		{"keys as a word", "name: x\ndeep: y", "write keys and values here: word"},
		{"no value", "name:", "the value is missing: write a text"},
		{"anchor", "name: &a x", "anchors, aliases and tags are not used here"},
		{"tag", "name: !!binary x", "anchors, aliases and tags are not used here"},
		{"merge", "name: x\ndeep:\n  <<: {word: y}", "f.yaml:3:"},
		{"two documents", "name: x\n---\nname: y", "more than one document"},
		{"empty", "", "the file is empty"},
		{"only a comment", "# nothing", "the file is empty"},
		{"no YAML", "name: [x", "f.yaml:1:"},
		{"tab", "name: x\ndeep:\n\tword: y", "f.yaml:3:"},
		{"not a mapping", "- a", "write keys and values here: name"},
		{"deep", "name: x\nlist: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "f.yaml:2:"},
		{"long", "name: " + strings.Repeat("x", yamlfile.MaxBytes), "longer than 1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sample
			_, err := yamlfile.Decode("f.yaml", []byte(c.src), &s)
			var list yamlfile.Errors
			if !errors.As(err, &list) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got:\n%v\nwant: %s", err, c.want)
			}
		})
	}
}

func TestAllErrorsAtOnceInOrder(t *testing.T) {
	var s sample
	f, err := yamlfile.Decode("f.yaml", []byte("on: x\ncount: y\nparts:\n  - wrod: z\n"), &s)
	var list yamlfile.Errors
	if !errors.As(err, &list) || len(list) != 5 || list[0].Line != 1 || list[4].Line != 4 {
		t.Fatalf("%v", err)
	}
	f.At("parts[0].word", "seen later")
	f.At("parts[7].word.x", "nowhere written")
	text := f.Err().Error()
	if !strings.Contains(text, "f.yaml:4:5: seen later") || !strings.Contains(text, "nowhere written") {
		t.Error(text)
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 30 * 24 * time.Hour: "30d", 8 * time.Hour: "8h", 90 * time.Minute: "90m", 61 * time.Second: "61s", time.Millisecond: "1ms"} {
		if got := yamlfile.FormatDuration(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"name: x", "name: &a [*a]", "? a\n: b", "name: x\nparts: [{word: y}]", "name: |\n x", "{", "\t", "name: x\ntable: {1: 2}", "- - -", "!!map {}", "name: \"\\x\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var s sample
		file, err := yamlfile.Decode("f", src, &s)
		var list yamlfile.Errors
		if err != nil && (!errors.As(err, &list) || len(list) == 0) {
			t.Fatalf("another error: %v", err)
		}
		for _, e := range list {
			if e.Line < 1 || e.Column < 1 || e.Message == "" {
				t.Fatalf("%+v", e)
			}
		}
		if err == nil && file == nil {
			t.Fatal("neither file nor error")
		}
	})
}
