package cloudbase

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"time"

	"wxrefund/shared/cloudbase"
)

// bearer stands before a key in the Authorization header.
const bearer = "Bearer "

// isKey tells whether a key is that of the environment.
func (d *Door) isKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(key), []byte(d.world.Keys.CloudBaseKey.Reveal())) == 1
}

// Administrator tells whether a call of the environment's HTTP API is an administrator's,
// who has the environment's key or signs with the account's key pair.
func (d *Door) Administrator(r *http.Request, body []byte) bool {
	authorization := r.Header.Get("Authorization")
	if key, ok := strings.CutPrefix(authorization, bearer); ok {
		return d.isKey(key)
	}
	credential, err := cloudbase.ParseAPITC3(authorization)
	if err != nil || credential.SecretID != d.world.Keys.SecretID {
		return false
	}
	u := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	return credential.Verify(d.world.Keys.SecretKey.Reveal(), r.Method, u, r.Header, body, time.Now()) == nil
}
