package console

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// assets are what the pages share. They are served as they stand here:
// there is no build step, and they load nothing from anywhere else.
//
//go:embed assets
var assets embed.FS

// Files are what the pages share.
func Files() fs.FS { return assets }

// policy lets a page use its own files and nothing else: no script or style in the
// page's text, no other host, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// media is the kind of a file that a page consists of, "" of any other.
func media(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".json":
		return "application/json; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return ""
}

// A Page is one that is shown in a browser: its files, and those that all pages share.
// It holds no data.
type Page struct {
	Files fs.FS  // its own, in a folder named assets; index.html among them is the page
	Index string // the path of the page itself
	Parts string // the path below which its files are, with a / at its end
}

// Handler serves the page. It lets in only what comes from this machine and calls it by a
// name of its own; a link on some other site may lead here.
func (p Page) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", policy)
		if no := Local(r); no != nil {
			no.Write(w)
			return
		}
		name := "index.html"
		if r.URL.Path != p.Index {
			name, _ = strings.CutPrefix(r.URL.Path, p.Parts)
		}
		if body, ok := p.file(name); ok && (r.URL.Path == p.Index || r.URL.Path == p.Parts+name) {
			h.Set("Content-Type", media(name))
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
			return
		}
		(&Refusal{http.StatusNotFound, "the page has no such file"}).Write(w)
	})
}

// file finds one of the page's files, its own or a shared one.
func (p Page) file(name string) (body []byte, ok bool) {
	if media(name) == "" || strings.Contains(name, "/") {
		return nil, false
	}
	for _, files := range []fs.FS{p.Files, assets} {
		if body, err := fs.ReadFile(files, "assets/"+name); err == nil {
			return body, true
		}
	}
	return nil, false
}
