// Package schema holds the database schema as one timeline of numbered steps.
//
//	NNNN_name.sql            runs on both engines
//	NNNN_name.sqlite.sql     } a dialect twin, only where the text must differ: both halves carry
//	NNNN_name.postgres.sql   } the same number and name
//
// A step is never changed once it was released: a new one follows it. The types are chosen so that one text means
// the same on both engines: BIGINT for times (unix microseconds) and counters, TEXT, BYTEA, BOOLEAN.
package schema

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.sql
var files embed.FS

// For gives the steps for a dialect ("sqlite" or "postgres").
func For(dialect string) fs.FS { return timeline{dialect} }

type timeline struct{ dialect string }

// Open implements fs.FS.
func (t timeline) Open(name string) (fs.File, error) { return files.Open(name) }

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
