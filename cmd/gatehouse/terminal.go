package main

import (
	"fmt"
	"io"
	"strings"
)

// terminal writes for a person's terminal: control characters but tabs and ends of lines become text, so that nothing
// that lies in a database or a file can order the operator's screen about (attack G134). It keeps nothing between
// writes and leaves all other bytes as they are.
type terminal struct{ to io.Writer }

func (t terminal) Write(b []byte) (int, error) {
	if n, err := io.WriteString(t.to, visible(string(b), "\n\t")); err != nil {
		return min(n, len(b)), err
	}
	return len(b), nil
}

// visible writes the control characters of s (C0, DEL, and C1 in UTF-8) as \xNN, but those in except.
func visible(s, except string) string {
	odd := func(i int) (bytes int) {
		switch c := s[i]; {
		case (c < ' ' || c == 0x7f) && strings.IndexByte(except, c) < 0:
			return 1
		case c == 0xc2 && i+1 < len(s) && s[i+1] >= 0x80 && s[i+1] < 0xa0:
			return 2
		}
		return 0
	}
	var out strings.Builder
	kept := 0 // up to where s is in out
	for i := 0; i < len(s); i++ {
		if n := odd(i); n > 0 {
			out.WriteString(s[kept:i])
			fmt.Fprintf(&out, `\x%02x`, s[i+n-1])
			i += n - 1
			kept = i + 1
		}
	}
	if kept == 0 {
		return s
	}
	out.WriteString(s[kept:])
	return out.String()
}
