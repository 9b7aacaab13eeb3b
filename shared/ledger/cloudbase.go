//go:build cloudbase || !slim

package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/secret"
)

var cloudbaseDriver = []driver{{"cloudbase", "cloudbase:ENV_ID", openCloudBase}}

// A cloud is the ledger in the PostgreSQL of a CloudBase environment, whose statements go
// over HTTPS (https://docs.cloudbase.net/http-api/pgdb/exec-pgsql): one a call, each in a
// connection and a transaction of its own. The tables are those of the ledger over a
// connection: a merchant who comes to have one changes the URL, and back.
type cloud struct {
	api     *cloudbase.API
	http    *http.Client
	env     string
	dialect dialect
	steps   []string // of the schema
	largest int64    // bytes of an answer
	gate             // behind the look at the database

	used atomic.Int64 // when a call was last made, in Unix nanoseconds by the wall's clock
}

// openCloudBase takes ENV_ID?endpoint=URL. The endpoint is that of the HTTP API of
// environments in mainland China unless it is said.
//
// Nothing is sent before the first call, for a function that starts should not wait for
// what it may not need.
func openCloudBase(_ context.Context, rest string, o options) (store, error) {
	env, endpoint, err := parseCloudBase(rest)
	if err != nil {
		return nil, err
	}
	steps, err := schema("postgres")
	if err != nil {
		return nil, err
	}
	credentials := o.credentials
	if credentials == nil {
		credentials = processKey
	}
	// A function is frozen between two calls. HTTP/2 would go on asking over a connection
	// that was lost meanwhile, for a request that is given up does not end it.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	client := &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			Protocols:           &protocols,
			MaxIdleConnsPerHost: 100,
			IdleConnTimeout:     maxIdle,
			TLSHandshakeTimeout: callTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &cloud{
		api:     &cloudbase.API{URL: endpoint, HTTP: client, Credentials: credentials},
		http:    client,
		env:     env,
		dialect: dialect{name: "postgres", item: cloudItem},
		steps:   steps,
		largest: cloudAnswer,
	}, nil
}

func parseCloudBase(rest string) (env, endpoint string, err error) {
	env, query, _ := strings.Cut(rest, "?")
	if !isEnvID(env) {
		return "", "", errors.New("want cloudbase:ENV_ID, the ID of the environment as the console shows it: lower-case letters, digits and dashes")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "", fmt.Errorf("parameters: %w", err)
	}
	for name, all := range values {
		switch {
		case name != "endpoint":
			return "", "", fmt.Errorf("unknown parameter %q; known is endpoint", name)
		case len(all) != 1:
			return "", "", fmt.Errorf("parameter %q occurs %d times", name, len(all))
		}
	}
	endpoint = cmp.Or(values.Get("endpoint"), cloudbase.APIURL(env))
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https":
		return "", "", errors.New("the endpoint is not an https URL with nothing but a host and a path")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", "", errors.New("the endpoint is not https, and not on this machine: whoever listens would have the key of the environment")
	}
	return env, strings.TrimRight(endpoint, "/"), nil
}

// isEnvID reports whether an environment may be called so. It becomes a part of a host's name.
func isEnvID(id string) bool {
	for _, c := range id {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return id != "" && len(id) <= 63 && id[0] != '-' && id[len(id)-1] != '-'
}

// processKey is the key that the process was started with.
func processKey(context.Context) (cloudbase.Credentials, error) {
	key := os.Getenv("CLOUDBASE_APIKEY")
	if key == "" {
		return cloudbase.Credentials{}, errors.New("CLOUDBASE_APIKEY is not set")
	}
	return cloudbase.Credentials{APIKey: secret.Text(key)}, nil
}

// enter begins a call; the caller ends it by leave if there is no error. The first call
// looks at the database, and brings its schema up to date.
func (c *cloud) enter(ctx context.Context) (leave func(), err error) {
	leave, _, err = c.enterReading(ctx, nil)
	return leave, err
}

// reading is a call that only reads. A process's first one does so while it looks.
func (c *cloud) reading(ctx context.Context, read func(context.Context) error) error {
	leave, been, err := c.enterReading(ctx, read)
	if err != nil {
		return err
	}
	defer leave()
	if been {
		return nil
	}
	return read(ctx)
}

func (c *cloud) enterReading(ctx context.Context, read func(context.Context) error) (leave func(), been bool, err error) {
	// The gateway forgets silent connections too, and a timer stands still while the
	// process is frozen.
	now := time.Now().UnixNano()
	if was := c.used.Swap(now); was != 0 && now-was > int64(maxIdle) {
		c.http.CloseIdleConnections()
	}
	leave, err = c.gate.enter(ctx, func() (err error) {
		been, err = c.ready(ctx, read)
		return err
	})
	return leave, been, err
}

func (c *cloud) close() error {
	c.shut()
	c.http.CloseIdleConnections()
	return nil
}

// A Migration is one step of the schema as a file that CloudBase's own command applies:
// its name begins with 14 digits. What it finds done it leaves alone.
type Migration struct{ Name, SQL string }

// Migrations are all steps of the schema of a ledger at CloudBase, in order.
func Migrations() ([]Migration, error) {
	steps, err := schema("postgres")
	var all []Migration
	for i := range steps { // a name has no digits but those at its beginning
		all = append(all, Migration{fmt.Sprintf("20261127%06d_wxrefund.sql", i+1), cloudSteps(steps, i+1, i+1) + ";\n"})
	}
	return all, err
}
