package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
	"github.com/gatehouse-id/gatehouse/internal/door/web"
)

// looks are the two ends of what people look at: a large light window and a small dark telephone.
var looks = []struct {
	name          string
	width, height int
	phone         bool
	scheme        string
}{{"desktop, light", 1280, 900, false, "light"}, {"phone, dark", 320, 640, true, "dark"}}

func TestEveryStoryIsAccessible(t *testing.T) {
	dir := t.TempDir()
	must(t, web.WriteStories(dir))
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	stories := web.Stories()
	if len(stories) < 20 {
		t.Fatalf("%d stories; the storybook was not read", len(stories))
	}
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			t.Parallel()
			tab := newTab(t)
			must(t, tab.Size(look.width, look.height, look.phone))
			must(t, tab.Prefer("prefers-color-scheme", look.scheme))
			for _, s := range stories {
				must(t, tab.Open(server.URL+"/"+s.Name()+".html"))
				openAll(t, tab)
				accessible(t, tab, s.Name())
			}
		})
	}
	for _, s := range stories {
		info, err := os.Stat(filepath.Join(dir, s.Name()+".html"))
		must(t, err)
		if info.Size() > 100<<10 {
			t.Errorf("%s has %d bytes, more than 100 KB", s.Name(), info.Size())
		}
	}
}

// openAll unfolds what is folded, so that it is looked at too.
func openAll(t *testing.T, tab *browser.Tab) {
	t.Helper()
	_, err := browser.Eval[int](tab, "[...document.querySelectorAll('details')].map(d => d.open = true).length")
	must(t, err)
}
