package httpapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// ui serves the files of the user interface: index.html, made for the base path and never cached, everything under assets/ for
// ever, since its names have hashes of the contents. Unknown paths without a dot are the index: the browser knows the page.
type ui struct {
	files fs.FS
	base  string
	index []byte

	mu    sync.Mutex // guards cache
	cache map[string]*uiFile
}

type uiFile struct {
	body, zipped []byte // zipped: nil when it would not be smaller
	etag, kind   string
	forever      bool
}

const maxUIFile = 16 << 20

func newUI(files fs.FS, index []byte, base string) (*ui, error) {
	u := &ui{files: files, base: base, index: index, cache: map[string]*uiFile{}}
	if files == nil {
		return u, nil
	}
	_, err := fs.Stat(files, "index.html")
	if err != nil {
		return nil, fmt.Errorf("files of the dashboard: %w", err)
	}
	return u, nil
}

const noUI = "CometMQ's dashboard was built without its pages. The API is at api/v1.\n"

// ServeHTTP makes it a handler.
func (u *ui) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, u.base), "/")
	if u.files == nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, noUI) // the client may have gone
		return
	}
	name = path.Clean("/" + name)[1:]
	f, err := u.file(name)
	if errors.Is(err, fs.ErrNotExist) && !strings.HasPrefix(name, "assets/") && !strings.Contains(path.Base(name), ".") || name == "" {
		f, err = u.file("index.html")
	}
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("ETag", f.etag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if f.forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if match := r.Header.Get("If-None-Match"); match != "" && strings.Contains(match, f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.body
	if f.zipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = f.zipped
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may have gone
	}
}

// file reads and zips a file when it is first asked for.
func (u *ui) file(name string) (*uiFile, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if f := u.cache[name]; f != nil {
		return f, nil
	}
	if !fs.ValidPath(name) || name == "." {
		return nil, fs.ErrNotExist
	}
	i, err := fs.Stat(u.files, name)
	if err != nil {
		return nil, err
	}
	if i.IsDir() || i.Size() > maxUIFile {
		return nil, fs.ErrNotExist
	}
	b, err := fs.ReadFile(u.files, name)
	if err != nil {
		return nil, err
	}
	f := &uiFile{body: b, forever: strings.HasPrefix(name, "assets/"), kind: mime.TypeByExtension(path.Ext(name))}
	if name == "index.html" {
		if u.index != nil {
			f.body = u.index
		}
		f.kind = "text/html; charset=utf-8"
	}
	if f.kind == "" {
		f.kind = "application/octet-stream"
	}
	f.etag = etag(f.body)
	var z bytes.Buffer
	zw, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zw.Write(f.body); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	if z.Len() < len(f.body)*9/10 {
		f.zipped = bytes.Clone(z.Bytes())
	}
	u.cache[name] = f
	return f, nil
}
