package campus_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/campus"
)

func TestBuiltinCampusesParse(t *testing.T) {
	names := campus.Names()
	if strings.Join(names, " ") != "hkust imperial nhs ugent utokyo" {
		t.Fatalf("names: %v", names)
	}
	for _, name := range names {
		c, err := campus.Builtin(name)
		if err != nil {
			t.Errorf("%s:\n%v", name, err)
			continue
		}
		if c.ID != name || len(c.Demo.People) < 2 || len(c.Demo.Samples) != 2 {
			t.Errorf("%s: %+v", name, c.Demo)
		}
	}
}
