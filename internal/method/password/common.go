package password

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// commonGz is the built-in list; see README.md in this folder for its origin and licence.
//
//go:embed common.txt.gz
var commonGz []byte

// List is a set of passwords in their compared form. It is one sorted block of bytes, because a map of the same
// entries takes ten times the memory.
type List struct {
	text  []byte   // entries, each followed by a line feed
	start []uint32 // where each begins
}

// maxListBytes bounds an operator's list, so that its offsets fit and a wrong file is found out.
const maxListBytes = 1 << 30

// NewList reads one password a line. Empty lines and those that cannot be a password are passed over.
func NewList(r io.Reader) (*List, error) {
	var entries []string
	size := 0
	scan := bufio.NewScanner(r)
	scan.Buffer(make([]byte, 0, 64<<10), MaxBytes)
	for scan.Scan() {
		e := fold(strings.TrimRight(scan.Text(), "\r"))
		if e == "" {
			continue
		}
		if size += len(e) + 1; size > maxListBytes {
			return nil, fmt.Errorf("password: a list of more than %d bytes", maxListBytes)
		}
		entries = append(entries, e)
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("password: list: %w", err)
	}
	slices.Sort(entries)
	entries = slices.Compact(entries)
	l := &List{text: make([]byte, 0, size), start: make([]uint32, 0, len(entries))}
	for _, e := range entries {
		l.start = append(l.start, uint32(len(l.text)))
		l.text = append(append(l.text, e...), '\n')
	}
	return l, nil
}

// Len is the number of entries.
func (l *List) Len() int { return len(l.start) }

func (l *List) has(folded string) bool {
	if l == nil || folded == "" {
		return false
	}
	want := []byte(folded)
	i := sort.Search(len(l.start), func(i int) bool { return bytes.Compare(l.entry(i), want) >= 0 })
	return i < len(l.start) && bytes.Equal(l.entry(i), want)
}

func (l *List) entry(i int) []byte {
	rest := l.text[l.start[i]:]
	return rest[:bytes.IndexByte(rest, '\n')]
}

// builtin unpacks the built-in list, at the first new password rather than at start. The list is part of the program:
// that it does not read cannot happen to an operator.
func builtin() *List {
	z, err := gzip.NewReader(bytes.NewReader(commonGz))
	if err != nil {
		panic("password: built-in list: " + err.Error())
	}
	l, err := NewList(z)
	if err != nil {
		panic("password: built-in list: " + err.Error())
	}
	return l
}

// fold is the form in which passwords are compared with lists and words.
func fold(text string) string {
	if plain(text) {
		return strings.ToLower(text)
	}
	out, ok := normalise(text)
	if !ok {
		return ""
	}
	return cases.Fold().String(out)
}

// plain reports whether text is printable ASCII, for which folding is lower case: nearly all of a list.
func plain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// core leaves out what people append to make a common password pass: digits and exclamation marks at the end.
func core(folded string) string { return strings.TrimRight(folded, "0123456789!") }

// isCommon reports whether a password is on a list, bare or with the usual endings, or is a mere repetition or run.
func (m *Method) isCommon(text string) bool {
	folded := fold(text)
	return m.listed(folded) || m.listed(core(folded)) || m.repeats(folded) || isRun(folded)
}

func (m *Method) listed(folded string) bool {
	return m.common().has(folded) || m.set.Breached.has(folded)
}

// repeats reports whether the text is one short or common piece over and over.
func (m *Method) repeats(folded string) bool {
	r := []rune(folded)
	for p := 1; p <= len(r)/2; p++ {
		if !periodic(r, p) {
			continue
		}
		return p <= 4 || m.listed(string(r[:p])) || m.listed(core(string(r[:p])))
	}
	return false
}

func periodic(r []rune, p int) bool {
	for i := p; i < len(r); i++ {
		if r[i] != r[i-p] {
			return false
		}
	}
	return true
}

// isRun reports whether every character follows the one before: 1234567890123456, abcdefgh, 9876543210.
func isRun(folded string) bool {
	r := []rune(folded)
	up, down := true, true
	for i := 1; i < len(r); i++ {
		d := r[i] - r[i-1]
		up = up && (d == 1 || r[i] == '0' && r[i-1] == '9')
		down = down && (d == -1 || r[i] == '9' && r[i-1] == '0')
	}
	return up || down
}

// contextual reports whether a password without the words that belong to the person and the house is no password any
// more: fewer than half of the characters required are left.
func (m *Method) contextual(s method.Subject, text string, least int) bool {
	rest := fold(text)
	found := false
	for _, w := range m.words(s) {
		if strings.Contains(rest, w) {
			rest, found = strings.ReplaceAll(rest, w, ""), true
		}
	}
	return found && utf8.RuneCountInString(core(rest)) < (least+1)/2
}

// words gives the context words, the longest first; shorter than four characters they would forbid by accident.
func (m *Method) words(s method.Subject) []string {
	local, domain, _ := strings.Cut(s.Email, "@")
	sources := append([]string{s.Username, local, domain, s.DisplayName}, m.set.Context...)
	var out []string
	for _, src := range sources {
		folded := fold(src)
		out = append(out, folded, strings.ReplaceAll(folded, " ", ""))
		out = append(out, strings.FieldsFunc(folded, func(r rune) bool { return strings.ContainsRune(" .-_@+'", r) })...)
	}
	out = slices.DeleteFunc(out, func(w string) bool { return utf8.RuneCountInString(w) < 4 })
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}
