package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"
)

// What others on the network could reach is refused as wrong use, and so is what is no address.
func TestTheConsoleListensOnThisMachineAlone(t *testing.T) {
	w := newWorld(t, "apiv3")
	for _, address := range []string{"0.0.0.0:8710", ":8710", "192.0.2.1:8710", "[::]:8710", "localhost", "127.0.0.1", "x", "8.8.8.8:53"} {
		w.operate("console", "-listen", address).want(codeUsage, "-listen must be a loopback address")
	}
}

// The address that is printed leads to the page, which shows the ledger until the program ends.
func TestTheConsoleShowsTheLedgerAtThePrintedAddress(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.stuck("order-1", "refund-1")
	ctx, end := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int)
	go func() {
		p := &program{root: ctx, getenv: w.getenv, stdin: strings.NewReader(""), stdout: in, stderr: io.Discard, zone: time.UTC, now: w.Sandbox.Now}
		ended <- p.main([]string{"console", "-json", "-listen", "127.0.0.1:0", "-as", "alice"})
	}()
	var ready struct {
		URL string
		Act bool
	}
	if err := json.NewDecoder(out).Decode(&ready); err != nil || ready.Act {
		t.Fatalf("%+v, %v", ready, err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	read := func(url string) (at, text string) {
		answer, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", url, answer.Status, err)
		}
		return answer.Request.URL.String(), string(b)
	}
	at, html := read(ready.URL)
	if !strings.Contains(html, "app.js") {
		t.Errorf("no page: %s", html)
	}
	if _, list := read(at + "api/refunds"); !strings.Contains(list, `"refund-1"`) {
		t.Errorf("no refund: %s", list)
	}
	end()
	select {
	case code := <-ended:
		if code != codeDone {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(10 * time.Second):
		t.Error("it does not end")
	}
}
