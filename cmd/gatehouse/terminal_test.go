package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestG134_TheTerminalIsOrderedAboutByNobody(t *testing.T) {
	for in, want := range map[string]string{
		"plain text\n\tand more\n":          "plain text\n\tand more\n",
		"\x1b[2Jgone":                       `\x1b[2Jgone`,
		"a\rb\x00c\x07d\x7fe":               `a\x0db\x00c\x07d\x7fe`,
		"\u009b2J é \u2028 学":               `\x9b2J é ` + "\u2028 学",
		"\x1b]0;title\x07\x1b]52;c;AAAA\a":  `\x1b]0;title\x07\x1b]52;c;AAAA\x07`,
		"split \xc2":                        "split \xc2",
		strings.Repeat("x", 5000) + "\x1b!": strings.Repeat("x", 5000) + `\x1b!`,
	} {
		var b bytes.Buffer
		if n, err := (terminal{&b}).Write([]byte(in)); n != len(in) || err != nil || b.String() != want {
			t.Errorf("%q: %d %v %q", in, n, err, b.String())
		}
	}
	if got := visible("one line\nanother", ""); got != `one line\x0aanother` {
		t.Errorf("%q", got)
	}
}
