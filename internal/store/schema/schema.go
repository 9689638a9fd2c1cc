// Package schema holds the database schema as one timeline of numbered steps.
//
//	NNNN_name.sql            runs on both engines
//	NNNN_name.sqlite.sql     } a dialect twin, only where the text must differ: both halves carry
//	NNNN_name.postgres.sql   } the same number and name
//
// A step is never changed once it was released: a new one follows it. The types are chosen so that one text means
// the same on both engines: BIGINT for times (unix microseconds) and counters, TEXT, BYTEA, BOOLEAN. What only SQLite is
// to read stands in a comment that begins with its name: /*sqlite WITHOUT ROWID*/ keeps a table's rows in the tree of its
// primary key instead of in a second tree beside it, so that a commit writes one page less.
package schema

import (
	"bytes"
	"embed"
	"io/fs"
	"regexp"
	"strings"
)

//go:embed *.sql
var files embed.FS

// For gives the steps for a dialect ("sqlite" or "postgres").
func For(dialect string) fs.FS { return timeline{dialect} }

type timeline struct{ dialect string }

// onlySQLite finds what only SQLite reads.
var onlySQLite = regexp.MustCompile(`/\*sqlite ([A-Z ]+)\*/`)

// Open implements fs.FS.
func (t timeline) Open(name string) (fs.File, error) {
	f, err := files.Open(name)
	if err != nil || t.dialect != "sqlite" || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	text, err := fs.ReadFile(files, name)
	return &step{f, bytes.NewReader(onlySQLite.ReplaceAll(text, []byte("$1")))}, err
}

// step is a file as SQLite reads it.
type step struct {
	fs.File
	text *bytes.Reader
}

// Read implements fs.File.
func (s *step) Read(b []byte) (int, error) { return s.text.Read(b) }

// ReadDir leaves out the other dialect's twins.
func (t timeline) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := files.ReadDir(name)
	if err != nil {
		return nil, err
	}
	mine := all[:0:0]
	for _, e := range all {
		stem := strings.TrimSuffix(e.Name(), ".sql")
		_, twin, isTwin := strings.Cut(stem, ".")
		if !isTwin || twin == t.dialect {
			mine = append(mine, e)
		}
	}
	return mine, nil
}

// Latest is the number of the newest step of this binary.
func Latest() int64 {
	entries, err := files.ReadDir(".")
	if err != nil {
		return 0
	}
	var latest int64
	for _, e := range entries {
		var n int64
		for _, c := range e.Name() {
			if c < '0' || c > '9' {
				break
			}
			n = n*10 + int64(c-'0')
		}
		latest = max(latest, n)
	}
	return latest
}
