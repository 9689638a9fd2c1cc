package bench

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
)

// Load is what a browser fetches when it opens an app for the first time: the page, what the page names, and what its
// service worker keeps for later, each once.
type Load struct {
	Files int   `json:"files"`
	Sent  int64 `json:"sent_bytes"`  // bodies as they are sent to a browser, which takes gzip
	Plain int64 `json:"plain_bytes"` // the same, unpacked
}

const serviceWorker = "/sw.js"

var (
	pageNames   = regexp.MustCompile(`(?:href|src)="(/[^"]*)"`)
	workerFiles = regexp.MustCompile(`(?s)const files = \[(.*?)\]`)
	quotedPath  = regexp.MustCompile(`"(/[^"]*)"`)
)

// FirstLoad fetches the app at origin.
func FirstLoad(client *http.Client, origin string) (Load, error) {
	var sum Load
	seen := map[string]bool{}
	queue := []string{"/", serviceWorker}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		sent, body, err := fetch(client, origin+path)
		if err != nil {
			return Load{}, err
		}
		sum.Files, sum.Sent, sum.Plain = sum.Files+1, sum.Sent+sent, sum.Plain+int64(len(body))
		var named [][][]byte
		switch path {
		case "/":
			named = pageNames.FindAllSubmatch(body, -1)
		case serviceWorker:
			list := workerFiles.FindSubmatch(body)
			if list == nil {
				return Load{}, errors.New("the service worker names no files")
			}
			named = quotedPath.FindAllSubmatch(list[1], -1)
		}
		for _, n := range named {
			queue = append(queue, string(n[1]))
		}
	}
	return sum, nil
}

// fetch gives how many bytes of body were sent, and the body unpacked.
func fetch(client *http.Client, address string) (sent int64, body []byte, err error) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Accept-Encoding", "gzip") // set by hand, so that the client leaves it packed
	a, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return 0, nil, fmt.Errorf("%s: status %d", address, a.StatusCode)
	}
	count := &counter{from: a.Body}
	var from io.Reader = count
	if a.Header.Get("Content-Encoding") == "gzip" {
		if from, err = gzip.NewReader(count); err != nil {
			return 0, nil, err
		}
	}
	body, err = io.ReadAll(from)
	return count.n, body, err
}

type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}
