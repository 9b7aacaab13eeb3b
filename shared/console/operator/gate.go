package operator

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strings"

	"wxrefund/shared/console"
)

// A gate lets in whoever has the console's address. Other users of the same machine reach
// its loopback as well, so that being on it is not enough.
//
// The address has a token, for which the browser gets a cookie once. Browsers send a
// cookie to every port of a host, also to a program of another user's that listens on
// one: so it is bound to a path that nobody else knows, below which the console is. Who
// learns the path alone, from a history or over a shoulder, has no cookie.
type gate struct {
	token, cookie string
	root          string // the path of the console, with a / at either end
}

func newGate() gate {
	return gate{token: rand.Text(), cookie: rand.Text(), root: "/" + strings.ToLower(rand.Text()) + "/"}
}

const (
	tokenName  = "token"
	cookieName = "operate"
)

func (g gate) entrance() string { return "/?" + tokenName + "=" + g.token }

// guard serves what is behind the gate.
func (g gate) guard(inside http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		if no := console.Local(r); no != nil {
			no.Write(w)
			return
		}
		switch {
		case r.URL.Path == "/" && r.Method == http.MethodGet && same(r.URL.Query().Get(tokenName), g.token):
			http.SetCookie(w, &http.Cookie{
				Name: cookieName, Value: g.cookie, Path: g.root, HttpOnly: true, SameSite: http.SameSiteStrictMode,
			})
			http.Redirect(w, r, g.root, http.StatusSeeOther)
		case strings.HasPrefix(r.URL.Path, g.root) && g.knows(r):
			inside.ServeHTTP(w, r)
		default:
			(&console.Refusal{Status: http.StatusForbidden, Text: "open the address that operate console has printed"}).Write(w)
		}
	})
}

// knows tells whether a browser has come in by the entrance.
func (g gate) knows(r *http.Request) bool {
	for _, c := range r.CookiesNamed(cookieName) {
		if same(c.Value, g.cookie) {
			return true
		}
	}
	return false
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
