package yamlfile

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func sorted(errs Errors) Errors {
	out := slices.Clone(errs)
	slices.SortStableFunc(out, func(a, b *Error) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return out
}

func (f *File) decodeRoot(n ast.Node, into any) { f.value("", n, reflect.ValueOf(into).Elem(), 0) }

func (f *File) wrong(n ast.Node, format string, args ...any) {
	line, column := 1, 1
	if n != nil && n.GetToken() != nil && n.GetToken().Position != nil {
		line, column = n.GetToken().Position.Line, n.GetToken().Position.Column
	}
	f.errs = append(f.errs, f.at(line, column, fmt.Sprintf(format, args...)))
}

// value decodes one node; path is where it stands.
func (f *File) value(path string, n ast.Node, v reflect.Value, depth int) {
	if depth > maxDepth {
		f.wrong(n, "this is nested too deeply")
		return
	}
	if first := firstOf(n); first != nil && first.GetToken() != nil && f.places[path] == nil {
		f.places[path] = first.GetToken().Position
	}
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		f.wrong(n, "anchors, aliases and tags are not used here: write the value out")
		return
	case *ast.NullNode:
		f.wrong(n, "the value is missing: write %s, or remove the key", wanted(v))
		return
	}
	if s, ok := v.Addr().Interface().(Scalar); ok {
		text, ok := plainText(n)
		if !ok {
			f.wrong(n, "write one plain value here")
		} else if err := s.FromText(text); err != nil {
			f.wrong(n, "%s", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.value(path, n, v.Elem(), depth+1)
	case reflect.Struct:
		f.structure(path, n, v, depth)
	case reflect.Slice:
		f.list(path, n, v, depth)
	case reflect.Map:
		f.table(path, n, v, depth)
	default:
		f.scalar(n, v)
	}
}

// firstOf is where a value begins for the eye: a mapping begins with its first key.
func firstOf(n ast.Node) ast.Node {
	switch m := n.(type) {
	case *ast.MappingNode:
		if len(m.Values) > 0 && !m.IsFlowStyle {
			return m.Values[0].Key
		}
	case *ast.MappingValueNode:
		return m.Key
	}
	return n
}

func pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

func (f *File) structure(path string, n ast.Node, v reflect.Value, depth int) {
	entries, ok := pairs(n)
	if !ok {
		f.wrong(n, "write keys and values here: %s", strings.Join(keysOf(v.Type()), ", "))
		return
	}
	seen := map[string]bool{}
	for _, e := range entries {
		key, ok := f.key(e, seen)
		if !ok {
			continue
		}
		field, ok := fieldOf(v.Type(), key)
		if !ok {
			f.wrong(e.Key, "unknown key %q: %s", key, instead(key, keysOf(v.Type())))
			continue
		}
		at := join(path, key)
		f.places[at+".key"] = e.Key.GetToken().Position
		f.value(at, e.Value, v.Field(field), depth+1)
	}
	for i := range v.NumField() {
		name, required := tag(v.Type().Field(i))
		if required && !seen[name] {
			f.wrong(firstOf(n), "%q is missing here: add it", name)
		}
	}
}

// key reads a mapping's key and refuses one that was there before.
func (f *File) key(e *ast.MappingValueNode, seen map[string]bool) (string, bool) {
	key, ok := plainText(e.Key)
	switch {
	case !ok || key == "":
		f.wrong(e.Key, "write a plain word as the key")
		return "", false
	case seen[key]:
		f.wrong(e.Key, "the key %q stands here twice: remove one", key)
		return "", false
	}
	seen[key] = true
	return key, true
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (f *File) list(path string, n ast.Node, v reflect.Value, depth int) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		f.wrong(n, "write a list here: [one, two], or a line \"- one\" for each")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values)))
	for i, item := range s.Values {
		f.value(fmt.Sprintf("%s[%d]", path, i), item, v.Index(i), depth+1)
	}
}

func (f *File) table(path string, n ast.Node, v reflect.Value, depth int) {
	entries, ok := pairs(n)
	if !ok {
		f.wrong(n, "write names and values here")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	seen := map[string]bool{}
	for _, e := range entries {
		key, ok := f.key(e, seen)
		if !ok {
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		at := join(path, key)
		f.places[at+".key"] = e.Key.GetToken().Position
		f.value(at, e.Value, item, depth+1)
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
	}
}

func (f *File) scalar(n ast.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		switch s := n.(type) {
		case *ast.StringNode:
			v.SetString(s.Value)
			return
		case *ast.LiteralNode:
			v.SetString(s.Value.Value)
			return
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			f.wrong(n, "write this in quotes, it is a text: %q", n.GetToken().Value)
			return
		}
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
	case reflect.Int, reflect.Int64:
		if _, ok := n.(*ast.IntegerNode); ok {
			i, err := strconv.ParseInt(n.GetToken().Value, 10, 64)
			if err == nil && !v.OverflowInt(i) {
				v.SetInt(i)
				return
			}
		}
	}
	f.wrong(n, "write %s here", wanted(v))
}

// wanted says what a value is written as.
func wanted(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "keys and values"
	case reflect.String:
		return "a text"
	}
	return "a value"
}

// plainText gives a scalar as it was written.
func plainText(n ast.Node) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func tag(f reflect.StructField) (name string, required bool) {
	name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name, option == "required"
}

func fieldOf(t reflect.Type, key string) (int, bool) {
	for i := range t.NumField() {
		if name, _ := tag(t.Field(i)); name == key {
			return i, true
		}
	}
	return 0, false
}

func keysOf(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		if name, _ := tag(t.Field(i)); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// instead suggests the key that was probably meant, else names all.
func instead(key string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("write %q", best)
	}
	return "write one of " + strings.Join(known, ", ")
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
