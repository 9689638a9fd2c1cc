package web

import (
	"os"
	"testing"
)

// TestStoriesWritten writes the storybook where STORIES names a folder, else into a temporary one.
func TestStoriesWritten(t *testing.T) {
	dir := os.Getenv("STORIES")
	if dir == "" {
		dir = t.TempDir()
	}
	if err := WriteStories(dir); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < len(Stories()) {
		t.Fatalf("%d files, %v", len(files), err)
	}
}
