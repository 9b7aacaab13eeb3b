// Package console serves the page that shows a sandbox.
package console

import (
	"embed"
	"net/http"

	"wxrefund/shared/console"
)

// assets are what the page has of its own: the sandbox's tools.
//
//go:embed assets
var assets embed.FS

// Handler serves the page, for / and what it loads below /_sandbox/console/. It
// holds no data: that comes from the control doors, which ask who wants it. So a
// link on some other site may lead here, but not from a foreign machine or under
// a foreign name.
func Handler() http.Handler {
	return console.Page{Files: assets, Index: "/", Parts: "/_sandbox/console/"}.Handler()
}
