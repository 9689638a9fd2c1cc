package httpdoor

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

var errBadReturn = errors.New("httpdoor: refused to redirect to something that is no local path")

// Static serves files whose names carry the hash of their content, for ever cacheable and compressed beforehand.
type Static struct {
	byName map[string]string // "app.css" → "/static/app-1a2b3c4d5e6f.css"
	byPath map[string]*asset
}

type asset struct {
	kind       []string
	etag       []string
	plain      []byte
	compressed []byte // nil where that is no shorter
	size       []string
	sizeGzip   []string
}

// StaticPrefix is where static files live.
const StaticPrefix = "/static/"

// NewStatic reads every file of files.
func NewStatic(files fs.FS) (*Static, error) {
	s := &Static{byName: map[string]string{}, byPath: map[string]*asset{}}
	pack := newPacker()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		s.add(name, content, pack)
		return nil
	})
	return s, err
}

// Add puts one more file in and gives its address. Call it before serving.
func (s *Static) Add(name string, content []byte) string { return s.add(name, content, newPacker()) }

// newPacker makes what compresses files, one after the other: it takes most of a megabyte.
func newPacker() *gzip.Writer {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestCompression) // the level is a valid one
	return w
}

func (s *Static) add(name string, content []byte, pack *gzip.Writer) string {
	sum := sha256.Sum256(content)
	ext := path.Ext(name)
	hash := hex.EncodeToString(sum[:6])
	at := StaticPrefix + strings.TrimSuffix(name, ext) + "-" + hash + ext
	var kind string
	switch ext { // the machine's own table must not decide, and takes time to read
	case ".css":
		kind = "text/css; charset=utf-8"
	case ".js":
		kind = "text/javascript; charset=utf-8"
	case ".svg":
		kind = "image/svg+xml"
	case ".png":
		kind = "image/png"
	case ".html":
		kind = "text/html; charset=utf-8"
	case ".json":
		kind = "application/json"
	default:
		kind = mime.TypeByExtension(ext)
	}
	a := &asset{kind: []string{kind}, etag: []string{`"` + hash + `"`}, plain: content, size: []string{strconv.Itoa(len(content))}}
	var z bytes.Buffer
	pack.Reset(&z)
	pack.Write(content)
	pack.Close()
	if z.Len() < len(content)*9/10 {
		a.compressed, a.sizeGzip = z.Bytes(), []string{strconv.Itoa(z.Len())}
	}
	s.byName[name] = at
	s.byPath[at] = a
	return at
}

// URL gives the address of a file by its name; "" where there is none (a test looks for that).
func (s *Static) URL(name string) string { return s.byName[name] }

// Content gives a file by its address.
func (s *Static) Content(at string) ([]byte, bool) {
	a, ok := s.byPath[at]
	if !ok {
		return nil, false
	}
	return a.plain, true
}

// Addresses lists every file's address.
func (s *Static) Addresses() []string {
	out := make([]string, 0, len(s.byPath))
	for at := range s.byPath {
		out = append(out, at)
	}
	return out
}

var (
	immutable  = []string{"public, max-age=31536000, immutable"}
	revalidate = []string{"no-cache"}
	varyEnc    = []string{"Accept-Encoding"}
	gzipCoding = []string{"gzip"}
	crossOK    = []string{"same-origin"}
)

// Serve is the handler of "GET /static/".
func (s *Static) Serve(w http.ResponseWriter, r *http.Request) error {
	a, ok := s.byPath[r.URL.Path]
	if !ok {
		return errNotFound
	}
	a.write(w, r, immutable)
	return nil
}

// ServeNamed serves a file under a name that stays the same when its content changes: browsers keep it and ask each time
// whether it is still the newest.
func (s *Static) ServeNamed(w http.ResponseWriter, r *http.Request, name string) error {
	a, ok := s.byPath[s.byName[name]]
	if !ok {
		return errNotFound
	}
	a.write(w, r, revalidate)
	return nil
}

func (a *asset) write(w http.ResponseWriter, r *http.Request, caching []string) {
	h := w.Header()
	h["Content-Type"] = a.kind
	h["Cache-Control"] = caching
	h["Etag"] = a.etag
	h["Vary"] = varyEnc
	h["Cross-Origin-Resource-Policy"] = crossOK
	if r.Header.Get("If-None-Match") == a.etag[0] {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.plain
	if a.compressed != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body = a.compressed
		h["Content-Encoding"] = gzipCoding
		h["Content-Length"] = a.sizeGzip
	} else {
		h["Content-Length"] = a.size
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, q, _ := strings.Cut(part, ";")
		if c := strings.TrimSpace(coding); c == "gzip" || c == "*" {
			return strings.ReplaceAll(q, " ", "") != "q=0"
		}
	}
	return false
}
