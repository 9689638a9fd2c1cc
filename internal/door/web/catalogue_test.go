package web

import (
	"io/fs"
	"reflect"
	"testing"

	"github.com/goccy/go-yaml"
)

// What is read of a catalogue is what any reader of YAML finds in it.
func TestCatalogueIsYAML(t *testing.T) {
	names, err := fs.Glob(localeFiles, "locale/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		raw, err := localeFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		if err := yaml.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		var got any
		if err := readCatalogue(raw, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s is read differently", name)
		}
	}
}

func TestCatalogueRefuses(t *testing.T) {
	for _, bad := range []string{
		"  other: \"no key\"\n", "a:\n  other: unquoted\n", "a:\n  other: \"open\n", "a:\n other: \"one space\"\n",
		"a:\n  other: >\n    folded\n", "a: \"b\"\n", "a:\n  other: \"x\"\na:\n  other: \"y\"\n", "- a\n",
	} {
		var got any
		if err := readCatalogue([]byte(bad), &got); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}
