package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/lock"
	"wxrefund/shared/refund"
)

// A Function is what a deployable does. Both fields may be called concurrently.
// The context that they get ends a little before the platform's deadline, and
// knows the credentials of the request: see [CredentialsFrom].
type Function struct {
	// Invoke answers a direct invocation with JSON. A refusal is a reply, never
	// an error. The event is whatever was sent: it need not be JSON. Required.
	Invoke func(ctx context.Context, caller refund.Caller, event []byte) []byte

	// HTTP answers whatever is shaped like an HTTP request. The body holds the
	// bytes that were sent, whatever the gateway did to them on the way; it is
	// complete and at most 1 MiB. Nil: the body of a POST is an event for Invoke,
	// of whom [Identity.Headers] names, or of nobody; the reply comes with status 200.
	HTTP http.Handler

	// NeedsToken keeps HTTP away from Invoke unless it brings the server token. It is
	// for what answers to any direct invocation, such as a timer's: whoever finds the
	// address could else run it. Without HTTP.
	NeedsToken bool

	// Ready reports whether what the function stands on answers: nil, or why it does
	// not. Over plain HTTP, GET /healthz asks for it, of anybody, and therefore seldom. Nil: a
	// function that could be built is ready.
	Ready func(ctx context.Context) error

	// Metrics returns figures in Prometheus's text format, which over plain HTTP GET
	// /metrics gives to who brings the server token. Nil: there are none.
	Metrics func(ctx context.Context) []byte
}

// A Build makes the function from its settings. It must not keep ctx, which ends
// with the invocation that happened to be the first, or before it.
type Build = func(ctx context.Context, getenv func(string) string) (Function, error)

// Run serves until the platform's library ends the process; over plain HTTP, until
// ctx ends or the process is told to stop (SIGTERM, SIGINT). It returns the exit
// code: 2, after one line that says what it looked for, if the environment names
// no platform. The platforms' libraries read the process environment themselves,
// so getenv must agree with os.Getenv about the variables that choose the platform.
//
// Build runs while the first invocation is awaited; on SCF, which brings some
// settings only with it, when it is there. Its error is logged and is the reply to
// a server; anyone else learns only that the service is not available. The next
// invocation tries again.
func Run(ctx context.Context, getenv func(string) string, log *slog.Logger, build Build) int {
	s := newServer(getenv, log, build)
	var wanted []string
	for _, p := range platforms() {
		value := getenv(p.variable)
		if value == "" {
			wanted = append(wanted, p.variable+" ("+p.name+")")
			continue
		}
		log.InfoContext(ctx, "serving", "platform", p.name)
		if err := p.serve(ctx, s, value); err != nil {
			log.ErrorContext(ctx, "cannot serve", "platform", p.name, "error", err)
			return 1
		}
		return 0
	}
	log.ErrorContext(ctx, "no platform: none of these variables is set: "+strings.Join(wanted, ", "))
	return 2
}

// A platform serves where its variable is set.
type platform struct {
	name     string
	variable string
	serve    func(ctx context.Context, s *server, value string) error
}

// platforms lists what was built in, in the order in which they are looked for.
func platforms() []platform {
	var all []platform
	all = append(all, scfPlatform...)
	all = append(all, lambdaPlatform...)
	return append(all, platform{"plain HTTP", "PORT", servePlain})
}

// A server is one Run: the function once it could be built, and what it is built from.
type server struct {
	getenv func(string) string
	log    *slog.Logger
	build  Build

	mu    lock.Mutex // guards what follows, also while it is built
	built bool
	fn    Function
	id    Identity

	health  health
	doubted sync.Once // the log says why headers are not believed
}

func newServer(getenv func(string) string, log *slog.Logger, build Build) *server {
	return &server{getenv: getenv, log: log, build: build}
}

// prepareTime is so short because the first invocation may have to wait for all of
// it and then to build again.
const prepareTime = 500 * time.Millisecond

// prepare builds the function ahead of the first invocation, which waits for it if
// it comes earlier, and tries again if it fails.
func (s *server) prepare(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, prepareTime)
	defer cancel()
	_, _, _ = s.load(ctx) // it has logged the error
}

// load returns the function, building it if nobody has yet. Who waits for another
// invocation's build waits no longer than its own deadline. The identity rules are
// usable even beside an error.
func (s *server) load(ctx context.Context) (Function, Identity, error) {
	if err := s.mu.Lock(ctx); err != nil {
		return Function{}, Identity{}, fmt.Errorf("still starting: %w", err)
	}
	defer s.mu.Unlock()
	if s.built {
		return s.fn, s.id, nil
	}
	id, idErr := ReadIdentity(s.getenv)
	fn, fnErr := s.tryBuild(ctx)
	if err := errors.Join(idErr, fnErr); err != nil {
		s.log.ErrorContext(ctx, "not configured", "error", err)
		return Function{}, id, err
	}
	s.built, s.fn, s.id = true, fn, id
	return fn, id, nil
}

func (s *server) tryBuild(ctx context.Context) (fn Function, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(ctx, p)
			err = errors.New(failed)
		}
	}()
	return s.build(ctx, s.getenv)
}
