package sandbox

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"time"
)

// console is the page that shows a sandbox. It is served as it stands here:
// there is no build step, and it loads nothing from anywhere else.
//
//go:embed console
var console embed.FS

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

// Console returns the page, for / and what it loads below /_sandbox/console/. It
// holds no data: that comes from [Sandbox.Control], which asks who wants it. So a
// link on some other site may lead here, but not from a foreign machine or under
// a foreign name.
func (s *Sandbox) Console() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", consolePolicy)
		if no := refuseForeign(r); no != nil {
			no.write(w)
			return
		}
		name := "index.html"
		if r.URL.Path != "/" {
			name = path.Base(r.URL.Path)
		}
		file, err := fs.ReadFile(console, "console/"+name)
		if kind := media[path.Ext(name)]; err == nil && kind != "" && (r.URL.Path == "/" || r.URL.Path == consolePath+name) {
			h.Set("Content-Type", kind)
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file))
			return
		}
		(&controlRefusal{http.StatusNotFound, "the console has no such file"}).write(w)
	})
}
