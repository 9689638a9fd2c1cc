package web

import (
	"encoding/json"
	"fmt"
	"strings"
)

// readCatalogue reads a language file for the i18n bundle. A file is YAML, so that translators' tools read it too, of one
// shape only, which takes a tenth of a YAML reader's time at every start:
//
//	key.of.the.text:
//	  description: "for the translator"
//	  other: "the text"            (and one: "…" where there is a plural)
//
// Any other line but comments and empty ones is an error that names it.
func readCatalogue(data []byte, into any) error {
	out, ok := into.(*any)
	if !ok {
		return fmt.Errorf("web: a catalogue goes into *any, not %T", into)
	}
	all := map[string]any{}
	var text map[string]any
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if key, ok := strings.CutSuffix(line, ":"); ok && line[0] != ' ' {
			if all[key] != nil {
				return fmt.Errorf("line %d: %s stands there twice", i+1, key)
			}
			text = map[string]any{}
			all[key] = text
			continue
		}
		name, quoted, ok := strings.Cut(line, ": ")
		var value string
		if !ok || text == nil || !strings.HasPrefix(name, "  ") || json.Unmarshal([]byte(quoted), &value) != nil {
			return fmt.Errorf(`line %d: write it as key: or as two spaces, a name, a colon and a text in "quotes"`, i+1)
		}
		text[name[2:]] = value
	}
	*out = all
	return nil
}
