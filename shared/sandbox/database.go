package sandbox

import (
	"encoding/json"
	"net/http"
)

// databasePath is where an environment's database is reached, on WeChat's side
// (docs.cloudbase.net, HTTP API, PostgreSQL, ExecPgSQL).
const databasePath = "/v1/rdb/exec-pgsql"

// SetDatabase gives the CloudBase environment a database, which a handler plays. Whoever
// asks it must be one whom [Sandbox.Administrator] knows. It is needed before
// [Sandbox.WeChat], and before Settings, which then have the environment's key
// and a ledger in the database.
func (s *Sandbox) SetDatabase(h http.Handler) { s.database = h }

// Administrator tells whether a call of the HTTP API is the environment's: by its key, or
// signed with the key pair.
func (s *Sandbox) Administrator(r *http.Request, body []byte) bool {
	return s.cloudbase.Administrator(r, body)
}

// DatabaseFault is the fault that a call of the database is to suffer, by the names that
// POST /_sandbox/faults takes as database; "": none.
func (s *Sandbox) DatabaseFault() string { return s.world.DatabaseFault() }

// noDatabase answers where there is none.
func noDatabase(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(map[string]string{ // the client may have gone
		"code": "INVALID_PARAM", "message": "this sandbox's environment has no database: start it with -cloudbase-db",
	})
}
