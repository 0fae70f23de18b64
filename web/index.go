// Package web holds the front end of the console: its TypeScript source and, in dist, what the last `make web` built.
// README.md beside this file tells how to work on it.
package web

import (
	"bytes"
	"html"
	"io/fs"
	"strings"
)

// Index is the page that every path of the console answers with, for a console mounted at base ("/" or "/some/path").
// The build refers to its files relative to the page; a page is served at any depth, so the references are made
// absolute here, and the scripts learn the base from a meta element (a <base> element would need a weaker
// Content-Security-Policy). It fails with fs.ErrNotExist in binaries without the console.
func Index(base string) ([]byte, error) {
	files := FS()
	if files == nil {
		return nil, fs.ErrNotExist
	}
	page, err := fs.ReadFile(files, "index.html")
	if err != nil {
		return nil, err
	}
	base = html.EscapeString("/" + strings.Trim(base, "/"))
	if base != "/" {
		base += "/"
	}
	page = bytes.ReplaceAll(page, []byte(`"./`), []byte(`"`+base))
	return bytes.Replace(page, []byte(`name="console-base" content="/"`), []byte(`name="console-base" content="`+base+`"`), 1), nil
}
