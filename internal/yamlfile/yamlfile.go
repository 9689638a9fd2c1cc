// Package yamlfile reads a YAML file that people write, strictly, into Go values.
//
//	bytes ─► syntax tree ─► Decode(into) ─► values, or Errors: file:line:column, what is wrong, what to write
//	                  └──► File.At(path) ─► the same place again, for what only the caller can judge
//
// There is one way to write each thing: an unknown or repeated key, a value of another type, an anchor, an alias, a
// tag or a second document is an error. All that can be found is found in one reading.
package yamlfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxBytes is the longest file read: a campus file is some tens of kilobytes.
const MaxBytes = 1 << 20

// maxDepth bounds nesting; nothing that is decoded into needs ten levels.
const maxDepth = 32

// Error is one thing to correct, where it stands.
type Error struct {
	File         string
	Line, Column int // from 1
	Message      string
	Source       string // the line itself
}

// Error prints file:line:column, the message, and the line with a mark below the place.
func (e *Error) Error() string {
	at := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if strings.TrimSpace(e.Source) == "" {
		return at
	}
	mark := ""
	for i, r := range []rune(e.Source) {
		if i >= e.Column-1 {
			break
		}
		if r == '\t' {
			mark += "\t"
		} else {
			mark += " "
		}
	}
	return at + "\n    " + e.Source + "\n    " + mark + "^"
}

// Errors are all that was found, in the order of the file.
type Errors []*Error

// Error prints one after the other.
func (e Errors) Error() string {
	out := make([]string, len(e))
	for i, one := range e {
		out[i] = one.Error()
	}
	return strings.Join(out, "\n")
}

// File is a file that was read; it knows where each value stands.
type File struct {
	name   string
	lines  []string
	places map[string]*token.Position
	errs   Errors
}

// Scalar is implemented by pointer types that are written as one plain word or text ("30d"). The error's text says
// what to write.
type Scalar interface{ FromText(string) error }

// Decode reads src into the struct that into points to. Fields are named by their tag `yaml:"name"`; a tag
// "name,required" must be there. name is how the file is called in errors. The File is given also with errors,
// unless the text is no YAML at all; the error is an Errors.
func Decode(name string, src []byte, into any) (*File, error) {
	f := &File{name: name, lines: strings.Split(strings.ReplaceAll(string(src), "\r\n", "\n"), "\n"), places: map[string]*token.Position{}}
	if len(src) > MaxBytes {
		return nil, Errors{f.at(1, 1, "the file is longer than 1 MiB")}
	}
	tree, err := parse(src)
	if err != nil {
		return nil, Errors{f.syntax(err)}
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return nil, Errors{f.at(1, 1, "the file is empty")}
	}
	if len(tree.Docs) > 1 {
		return nil, Errors{f.at(1, 1, "the file holds more than one document; remove the line \"---\" between them")}
	}
	f.decodeRoot(tree.Docs[0].Body, into)
	return f, f.Err()
}

// parse shields against a parser that fails on what a stranger wrote.
func parse(src []byte) (tree *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			tree, err = nil, errors.New("this is not YAML")
		}
	}()
	return parser.ParseBytes(src, 0)
}

func (f *File) syntax(err error) *Error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		p := at.GetToken().Position
		return f.at(p.Line, p.Column, "not valid YAML: "+at.GetMessage())
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return f.at(1, 1, "not valid YAML: "+first)
}

func (f *File) at(line, column int, message string) *Error {
	line, column = max(1, line), max(1, column)
	e := &Error{File: f.name, Line: line, Column: column, Message: message}
	if line <= len(f.lines) {
		e.Source = f.lines[line-1]
	}
	return e
}

// At adds an error at the value with this path ("policy.rules[2].strength"), or, where that is not written, at the
// nearest one around it.
func (f *File) At(path, format string, args ...any) {
	for p := path; ; p = parent(p) {
		if pos, ok := f.places[p]; ok {
			f.errs = append(f.errs, f.at(pos.Line, pos.Column, fmt.Sprintf(format, args...)))
			return
		}
		if p == "" {
			f.errs = append(f.errs, f.at(1, 1, fmt.Sprintf(format, args...)))
			return
		}
	}
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// Err gives all errors so far in the order of the file, as Errors, or nil.
func (f *File) Err() error {
	if len(f.errs) == 0 {
		return nil
	}
	return sorted(f.errs)
}
