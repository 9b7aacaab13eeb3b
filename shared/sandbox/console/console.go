// Package console serves the page that shows a sandbox.
package console

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"time"

	"wxrefund/shared/sandbox/control"
)

// assets is the page. It is served as it stands here:
// there is no build step, and it loads nothing from anywhere else.
//
//go:embed assets
var assets embed.FS

// consolePath is where the parts of the page are.
const consolePath = "/_sandbox/console/"

// consolePolicy lets the page use its own files and nothing else: no script or
// style in the page's text, no other host, no frame around it.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// media are the kinds of files that the page consists of.
var media = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Handler serves the page, for / and what it loads below /_sandbox/console/. It
// holds no data: that comes from the control doors, which ask who wants it. So a
// link on some other site may lead here, but not from a foreign machine or under
// a foreign name.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", consolePolicy)
		if control.Refuse(w, r) {
			return
		}
		name := "index.html"
		if r.URL.Path != "/" {
			name = path.Base(r.URL.Path)
		}
		file, err := fs.ReadFile(assets, "assets/"+name)
		if kind := media[path.Ext(name)]; err == nil && kind != "" && (r.URL.Path == "/" || r.URL.Path == consolePath+name) {
			h.Set("Content-Type", kind)
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file))
			return
		}
		control.Error(w, http.StatusNotFound, "the console has no such file")
	})
}
