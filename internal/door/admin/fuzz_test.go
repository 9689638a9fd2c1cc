package admin

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzQuery: what passes is read alike by every parser: each name once, nothing dropped.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "limit=1", "limit=1&limit=2", "limit=1;limit=2", "a=%zz", "cursor=", "&&&", "=", "%6cimit=1&limit=2", strings.Repeat("a=1&", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if onceEach(raw) != nil {
			return
		}
		u := url.URL{RawQuery: raw}
		values := u.Query()
		parts := 0
		for part := range strings.SplitSeq(raw, "&") {
			if part != "" {
				parts++
			}
		}
		if len(values) != parts {
			t.Fatalf("%q: %d parts, %d parameters", raw, parts, len(values))
		}
	})
}
