// Package archtest holds the code to ARCHITECTURE.md and to the house rules that a compiler does not know.
//
//	ARCHITECTURE.md ─► Order (one line a package) ─┐
//	*.go ─► go/parser ─► File (imports, calls) ────┴─► tests compare
//
// It parses the sources itself: what the go command reports is cached by the test cache, so that a new import
// would go unseen until something else changed. There is nothing here for other packages to import.
package archtest

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Module is the path of the module whose packages the table names.
const Module = "github.com/gatehouse-id/gatehouse/"

// Line is one package of the table.
type Line struct {
	Package string   // path in the repository, such as "internal/policy"
	Kind    string   // word, room, method, flow, edge, door, main, test
	Imports []string // packages of ours, as paths in the repository
	Outside []string // import path prefixes of other modules
}

// ReadOrder gives the table of packages in a Markdown text: the rows whose first cell is a path in backticks and
// that have five cells, in order. In the cell of imports a name stands for internal/name, and /name for name.
func ReadOrder(markdown string) ([]Line, error) {
	var order []Line
	sc := bufio.NewScanner(strings.NewReader(markdown))
	for sc.Scan() {
		cells := strings.Split(strings.Trim(strings.TrimSpace(sc.Text()), "|"), "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[0]), "`") {
			continue
		}
		names := quoted(cells[0])
		if len(names) != 1 {
			return nil, fmt.Errorf("the first cell names one package in backticks: %q", sc.Text())
		}
		l := Line{Package: names[0], Kind: strings.TrimSpace(cells[1]), Outside: quoted(cells[3])}
		for _, name := range quoted(cells[2]) {
			if rooted, ok := strings.CutPrefix(name, "/"); ok {
				l.Imports = append(l.Imports, rooted)
			} else {
				l.Imports = append(l.Imports, "internal/"+name)
			}
		}
		order = append(order, l)
	}
	return order, sc.Err()
}

// quoted gives what stands between backticks in a cell.
func quoted(cell string) []string {
	var out []string
	for i, part := range strings.Split(cell, "`") {
		if i%2 == 1 {
			out = append(out, part)
		}
	}
	return out
}

// File is one parsed source file.
type File struct {
	Path    string // in the repository, with slashes
	Package string // its folder
	Test    bool   // _test.go
	Lines   int
	Set     *token.FileSet
	Syntax  *ast.File
}

// Generated reports whether the file says that it was generated (https://go.dev/s/generatedcode).
func (f File) Generated() bool { return ast.IsGenerated(f.Syntax) }

// Imports gives the import paths of the file.
func (f File) Imports() []string {
	var out []string
	for _, spec := range f.Syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			out = append(out, p)
		}
	}
	return out
}

// LineOf is the line on which node begins.
func (f File) LineOf(node ast.Node) int { return f.Set.Position(node.Pos()).Line }

// Calls visits each call of the form x.name(…) where x is a plain identifier.
func (f File) Calls(visit func(x, name string, call *ast.CallExpr)) {
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				visit(x.Name, sel.Sel.Name, call)
			}
		}
		return true
	})
}

// ReadTree parses every Go file below root, other modules and hidden folders aside.
func ReadTree(root string) ([]File, error) {
	var files []File
	err := walk(root, func(rel string) error {
		if path.Ext(rel) != ".go" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(rel)))
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, rel, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, File{
			Path: rel, Package: path.Dir(rel), Test: strings.HasSuffix(rel, "_test.go"),
			Lines: strings.Count(string(text), "\n"), Set: set, Syntax: syntax,
		})
		return nil
	})
	return files, err
}

// walk visits every file of the repository: not what git ignores by name, not hidden folders, not other modules.
func walk(root string, visit func(rel string) error) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		if !d.IsDir() {
			return visit(rel)
		}
		if d.Name() == "node_modules" || d.Name() == "tmp" || d.Name() == "bin" || (strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci") {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
			return filepath.SkipDir
		}
		return nil
	})
}
