package host

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

func startPlain(t *testing.T, env ...string) (*process, string) {
	t.Helper()
	p := start(t, append(env, "PORT=0")...)
	address := regexp.MustCompile(`"address":"[^"]*:(\d+)"`)
	var port string
	await(t, "the address", func() bool {
		if m := address.FindStringSubmatch(p.logs.String()); m != nil {
			port = m[1]
		}
		return port != ""
	})
	return p, "http://127.0.0.1:" + port
}

func do(t *testing.T, method, url string, body io.Reader, header ...string) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, b
}

func TestPlainHTTPCallers(t *testing.T) {
	wx := []string{"X-Wx-Openid", "oALICE", "X-Wx-Source", "wx_client"}
	tests := []struct {
		name   string
		env    []string
		header []string
		want   refund.Caller
	}{
		{"headers, not trusted", nil, wx, stranger},
		{"headers, trusted", []string{"TRUST_WX_HEADERS=true"}, wx, alice},
		{"the token", []string{"REFUND_SERVER_TOKEN=" + newToken}, []string{"Authorization", "Bearer " + newToken}, machine},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, url := startPlain(t, append(tt.env, "TENCENTCLOUD_SECRETID=id0", "TENCENTCLOUD_SECRETKEY=key0", "WXPAY_MCHID=m0")...)
			sent := time.Now()
			status, header, body := do(t, "POST", url+"/any/path", strings.NewReader(`{"type":"x","WX_OPENID":"oBOB"}`), tt.header...)
			got := parseEcho(t, body)
			if status != 200 || header.Get("Content-Type") != "application/json" {
				t.Errorf("got %d %v", status, header)
			}
			if got.Kind != tt.want.Kind || got.OpenID != tt.want.OpenID || got.Event != `{"type":"x","WX_OPENID":"oBOB"}` || got.Builds != 1 {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if !got.OK || got.SecretID != "id0" || got.SecretKey != "key0" || got.Built["WXPAY_MCHID"] != "m0" {
				t.Errorf("credentials or settings of the process are missing: %+v", got)
			}
			got.ends(t, "30 s", sent, 29500*time.Millisecond)
			if status, _, _ := do(t, "GET", url, nil); status != 405 {
				t.Errorf("GET: got %d, want 405", status)
			}
		})
	}
}

func TestPlainHTTPHandlerGetsTheBytes(t *testing.T) {
	p, url := startPlain(t, "ECHO_HTTP=true")
	raw := []byte("\x00\xff{\"a\": 1}\r\n")
	for _, body := range []io.Reader{bytes.NewReader(raw), io.MultiReader(bytes.NewReader(raw))} { // the second is sent in chunks
		status, header, got := do(t, "PUT", url+"/x", body)
		if status != 202 || header.Get("X-Method") != "PUT" || !bytes.Equal(got, raw) {
			t.Errorf("got %d %v %q", status, header, got)
		}
	}
	for size, want := range map[int]int{maxBody: 202, maxBody + 1: 413} {
		for _, body := range []io.Reader{bytes.NewReader(make([]byte, size)), io.MultiReader(bytes.NewReader(make([]byte, size)))} {
			if status, _, _ := do(t, "POST", url, body); status != want {
				t.Errorf("%d bytes: got %d, want %d", size, status, want)
			}
		}
	}
	if status, _, body := do(t, "POST", url+"/panic", nil, "X-Request-Id", "req-7"); status != 500 || len(body) != 0 {
		t.Errorf("panic: got %d %q, want a bare 500", status, body)
	}
	if r := p.records("panic", 1); len(r) != 1 || r[0]["request_id"] != "req-7" {
		t.Errorf("records: %v", r)
	}
}

func TestPlainHTTPBuildsAgainAfterAFailure(t *testing.T) {
	p, url := startPlain(t, "ECHO_FAILURES=2")
	p.records("not configured", 1) // before anybody asks
	if status, _, body := do(t, "POST", url, strings.NewReader("{}")); status != 503 || len(body) != 0 {
		t.Errorf("got %d %q, want a bare 503", status, body)
	}
	for range 2 {
		if status, _, body := do(t, "POST", url, strings.NewReader("{}"), "X-Request-Id", "req-8"); status != 200 || parseEcho(t, body).Builds != 3 || parseEcho(t, body).RequestID != "req-8" {
			t.Errorf("got %d %s", status, body)
		}
	}
	if r := p.records("not configured", 2); len(r) != 2 || r[0]["request_id"] != nil || len(r[1]["request_id"].(string)) < 20 {
		t.Errorf("records: %v", r)
	}
}

// A request under way is answered before the process ends.
func TestPlainHTTPAnswersBeforeItStops(t *testing.T) {
	p, url := startPlain(t)
	do(t, "POST", url, strings.NewReader("{}"))
	slow := make(chan string, 1)
	started, pipe := io.Pipe()
	go func() {
		res, err := http.Post(url, "application/json", started)
		if err != nil {
			slow <- err.Error()
			return
		}
		res.Body.Close()
		slow <- res.Status
	}()
	if _, err := io.WriteString(pipe, `{"do":`); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // let the server accept it
	stopped := make(chan int, 1)
	go func() { stopped <- p.stop() }()
	time.Sleep(100 * time.Millisecond)
	if _, err := io.WriteString(pipe, `"pause"}`); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	if got := <-slow; got != "200 OK" {
		t.Errorf("got %s", got)
	}
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	logs := new(logBuffer)
	getenv := settings(map[string]string{"PORT": "0"})
	code := make(chan int, 1)
	go func() {
		code <- Run(ctx, getenv, NewLogger(logs, getenv), func(context.Context, func(string) string) (Function, error) {
			return Function{Invoke: replyCaller}, nil
		})
	}()
	await(t, "the address", func() bool { return strings.Contains(logs.String(), `"listening"`) })
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("got %d, want 0; log:\n%s", got, logs)
	}
}

func TestPlainHTTPEndsIfThePortIsTaken(t *testing.T) {
	_, url := startPlain(t)
	p := start(t, "PORT="+url[strings.LastIndex(url, ":")+1:])
	p.once.Do(func() {
		if code := p.wait(); code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
	})
	p.records("cannot serve", 1)
}

func TestRequestIDIsThePlatformsIfFitForALog(t *testing.T) {
	for id, want := range map[string]bool{"a-B_9": true, strings.Repeat("a", 64): true, "": false, strings.Repeat("a", 65): false, "a b": false, "a\n": false, "é": false} {
		h := http.Header{"X-Request-Id": {id}}
		if got := requestID(h); want && got != id || !want && got != "" {
			t.Errorf("id %q: got %q", id, got)
		}
		ctx, cancel := request{id: id}.begin(t.Context())
		if got := RequestID(ctx); want && got != id || !want && (got == id || !plainID(got)) {
			t.Errorf("id %q: the function sees %q", id, got)
		}
		cancel()
	}
	h := http.Header{"X-Request-Id": {"theirs"}, "X-Scf-Request-Id": {"ours"}}
	if got := requestID(h); got != "ours" {
		t.Errorf("got %q, want the platform's", got)
	}
}
