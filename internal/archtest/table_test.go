package archtest

import (
	"slices"
	"testing"
)

func TestReadOrderTakesTheTableAndNothingElse(t *testing.T) {
	lines, err := ReadOrder("prose with `code`\n" +
		"| package | kind | imports of ours | imports of others | what it is |\n|---|---|---|---|---|\n" +
		"| `internal/a` | word |  |  | first |\n" +
		"| `internal/b` | room | `a` | `golang.org/x/text` `rsc.io/qr` | second |\n" +
		"| `make` | another table |\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 2 || lines[0].Package != "internal/a" || lines[1].Kind != "room" ||
		!slices.Equal(lines[1].Imports, []string{"internal/a"}) || !slices.Equal(lines[1].Outside, []string{"golang.org/x/text", "rsc.io/qr"}) {
		t.Errorf("read as %+v", lines)
	}
	if _, err := ReadOrder("| `internal/a` `internal/b` | word | | | two |\n"); err == nil {
		t.Error("a line that names two packages was read")
	}
}
