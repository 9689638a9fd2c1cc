package authenticator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func file(t *testing.T, name string) string {
	t.Helper()
	raw, err := fs.ReadFile(Files, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func scripts(t *testing.T) map[string]string {
	t.Helper()
	names, err := fs.Glob(Files, "*.js")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		all[name] = file(t, name)
	}
	return all
}

// What a phone fetches before the app can be used, with the worker, and uncompressed: 100 KB on a slow network.
func TestFirstLoadIsSmall(t *testing.T) {
	imports := regexp.MustCompile(`(?m)^import (?:[^"]* from )?"/([\w.]+)";`)
	seen := map[string]bool{"index.html": true, "app.css": true, "en.json": true, "icon.svg": true, "sw.js": true}
	var follow func(name string)
	follow = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, m := range imports.FindAllStringSubmatch(file(t, name), -1) {
			follow(m[1])
		}
	}
	follow("app.js")
	sum := 0
	for name := range seen {
		sum += len(file(t, name))
	}
	if !seen["request.js"] || !seen["wire.js"] || sum > 100<<10 {
		t.Errorf("the first load has %d bytes in %d files", sum, len(seen))
	}
}

// version is what sw.js must be called by: the content of every file that it keeps, and its own but for that line.
func version(t *testing.T) string {
	t.Helper()
	worker := versionLine.ReplaceAllString(file(t, "sw.js"), "")
	sum := sha256.New()
	for _, name := range kept(t) {
		sum.Write([]byte(name + "\n" + file(t, name)))
	}
	sum.Write([]byte(worker))
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

var versionLine = regexp.MustCompile(`(?m)^const version = "([0-9a-f]*)";$`)

// kept are the files that the worker keeps.
func kept(t *testing.T) []string {
	t.Helper()
	list := regexp.MustCompile(`(?s)const files = (\[.*?\]);`).FindStringSubmatch(file(t, "sw.js"))
	if list == nil {
		t.Fatal("sw.js has no list of files")
	}
	var names []string
	if err := json.Unmarshal([]byte(list[1]), &names); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if names[i] = strings.TrimPrefix(name, "/"); name == "/" {
			names[i] = "index.html"
		}
	}
	return names
}

// A changed file is a new version: without it phones would keep the old one. After a change, write the version that this
// test asks for into sw.js.
func TestWorkerIsNamedAfterItsContent(t *testing.T) {
	have := versionLine.FindStringSubmatch(file(t, "sw.js"))
	if want := version(t); have == nil || have[1] != want {
		t.Errorf("sw.js has version %q; its content is version %q", have, want)
	}
}

// What the worker keeps is all that the app is made of: without a network nothing is missing.
func TestWorkerKeepsTheWholeApp(t *testing.T) {
	names := kept(t)
	for name := range scripts(t) {
		if name != "sw.js" && !slices.Contains(names, name) {
			t.Errorf("sw.js does not keep %s", name)
		}
	}
	for _, name := range []string{"index.html", "app.css", "en.json", "icon.svg"} {
		if !slices.Contains(names, name) {
			t.Errorf("sw.js does not keep %s", name)
		}
	}
}

// Every text that is shown is in the catalogue, with a note for the translator, and every text of it is shown.
func TestCatalogueIsWhatIsShown(t *testing.T) {
	var texts, notes map[string]string
	if err := json.Unmarshal([]byte(file(t, "en.json")), &texts); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("notes.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &notes); err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`"([a-z]+\.[a-z.]*)"`)
	used, stems := map[string]bool{}, []string{"push.", "stored.", "result.", "pair."} // followed by a value
	for name, source := range scripts(t) {
		for _, m := range named.FindAllStringSubmatch(source, -1) {
			key := m[1]
			used[key] = true
			_, one := texts[key]
			_, many := texts[key+".other"]
			isText := key != "request.over" /* an error of the wire */ && notes[strings.SplitN(key, ".", 2)[0]] != ""
			if isText && !one && !many && !slices.Contains(stems, key) {
				t.Errorf("%s shows %q, which is not in en.json", name, key)
			}
		}
	}
	for key, text := range texts {
		plain := strings.TrimSuffix(strings.TrimSuffix(key, ".one"), ".other")
		if !used[plain] && !slices.ContainsFunc(stems, func(s string) bool { return strings.HasPrefix(key, s) }) {
			t.Errorf("nothing shows %q", key)
		}
		if note := notes[strings.SplitN(key, ".", 2)[0]]; note == "" {
			t.Errorf("%q has no note for the translator", key)
		}
		if text == "" || strings.ContainsAny(text, "!<>") {
			t.Errorf("%q: %q", key, text)
		}
	}
}

// The policy allows nothing inline and nothing from elsewhere; a page that breaks it would only fail in a browser.
func TestNothingInlineAndNothingFromElsewhere(t *testing.T) {
	page := file(t, "index.html")
	if regexp.MustCompile(`(?i)<style|style=|<script(?:>| [^>]*>[^<])| on\w+=|https?://`).MatchString(page) {
		t.Error("index.html has something inline or from elsewhere")
	}
	for name, source := range scripts(t) {
		for _, bad := range []string{"innerHTML", "insertAdjacentHTML", "eval(", "document.write", "localStorage", "sessionStorage", "document.cookie", ".style="} {
			if strings.Contains(source, bad) {
				t.Errorf("%s uses %s", name, bad)
			}
		}
		for _, address := range regexp.MustCompile(`https?://[^"]*`).FindAllString(source, -1) {
			if address != "http://www.w3.org/2000/svg" {
				t.Errorf("%s speaks of %s", name, address)
			}
		}
		if lines := strings.Count(source, "\n"); lines > 500 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
}

// One design system: the tokens here are those of the sign-in pages.
func TestTokensAreThoseOfThePages(t *testing.T) {
	pages, err := os.ReadFile("../internal/door/web/static/gatehouse.css")
	if err != nil {
		t.Fatal(err)
	}
	token := regexp.MustCompile(`--([\w-]+): ([^;]+);`)
	read := func(css string) map[string]string {
		all := map[string]string{}
		tokens, _, _ := strings.Cut(css, "*, *::before")
		for _, m := range token.FindAllStringSubmatch(tokens, -1) {
			name := m[1]
			for all[name] != "" {
				name += "'" // the dark one
			}
			all[name] = m[2]
		}
		return all
	}
	ours, theirs := read(file(t, "app.css")), read(string(pages))
	if len(ours) < 20 {
		t.Fatalf("app.css has %d tokens", len(ours))
	}
	for name, value := range ours {
		if theirs[name] != value {
			t.Errorf("--%s is %s here and %s on the pages", name, value, theirs[name])
		}
	}
}
