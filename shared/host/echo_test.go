package host

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// echoVariable makes the test binary an echo instead.
const echoVariable = "HOST_TEST_ECHO"

// libraryVariable has that echo serve SCF by scf-go-lib's own server.
const libraryVariable = "HOST_TEST_LIBRARY"

func TestMain(m *testing.M) {
	if os.Getenv(echoVariable) == "" {
		os.Exit(m.Run())
	}
	if os.Getenv(libraryVariable) != "" {
		useLibrary()
	}
	e := &echo{built: map[string]string{}}
	os.Exit(Run(context.Background(), os.Getenv, NewLogger(os.Stderr, os.Getenv), e.build))
}

// An echo is a deployable that replies with what the host gave it.
type echo struct {
	builds int
	built  map[string]string // what build could read
}

// build fails as often as ECHO_FAILURES says.
func (e *echo) build(_ context.Context, getenv func(string) string) (Function, error) {
	e.builds++
	if n, _ := strconv.Atoi(getenv("ECHO_FAILURES")); e.builds <= n {
		return Function{}, errors.Join(errors.New("WXPAY_MCHID: missing"), errors.New("WXPAY_APIV3_KEY: want 32 bytes"))
	}
	for _, name := range []string{"WX_OPENID", "TCB_SOURCE", "TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY",
		"TENCENTCLOUD_SESSIONTOKEN", "WX_API_TOKEN", "TCB_SESSIONTOKEN", "TCB_ENV", "WXPAY_MCHID"} {
		e.built[name] = getenv(name)
	}
	fn := Function{Invoke: e.invoke}
	if getenv("ECHO_HTTP") == "true" {
		fn.HTTP = http.HandlerFunc(e.serve)
	}
	return fn, nil
}

func (e *echo) invoke(ctx context.Context, caller refund.Caller, event []byte) []byte {
	began := time.Now()
	var what struct{ Do string }
	_ = json.Unmarshal(event, &what)
	switch what.Do {
	case "panic":
		panic("secret payload: " + string(event))
	case "nonsense":
		return []byte("{")
	case "wait":
		<-ctx.Done()
	case "pause":
		time.Sleep(2 * time.Millisecond)
	}
	deadline, _ := ctx.Deadline()
	credentials, ok := CredentialsFrom(ctx)
	reply, err := json.Marshal(map[string]any{
		"kind":           caller.Kind,
		"openid":         caller.OpenID,
		"appid":          caller.AppID,
		"request_id":     caller.RequestID,
		"event":          string(event),
		"began":          began,
		"deadline":       deadline,
		"expired":        errors.Is(ctx.Err(), context.DeadlineExceeded),
		"secret_id":      credentials.SecretID,
		"secret_key":     credentials.SecretKey.Reveal(),
		"source":         credentials.Source,
		"ok":             ok,
		"builds":         e.builds,
		"built":          e.built,
		"process_openid": os.Getenv("WX_OPENID"),
	})
	if err != nil {
		panic(err)
	}
	return reply
}

func (e *echo) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/panic" {
		panic("secret")
	}
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.Copy(w, r.Body)
}
