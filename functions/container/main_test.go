package main

import (
	"bytes"
	"log/slog"
	"testing"
)

// A container is one of the three functions, and of what names none it says so. Each
// asks for PORT then, since nothing else starts here.
func TestTheArgumentNamesTheFunction(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "the argument must be one of wxpayFunctions, notify and reconcile"},
		{[]string{"wxpayfunctions"}, "the argument must be one of"},
		{[]string{"notify", "reconcile"}, "the argument must be one of"},
		{[]string{"wxpayFunctions"}, "PORT (plain HTTP)"},
		{[]string{"notify"}, "PORT (plain HTTP)"},
		{[]string{"reconcile"}, "PORT (plain HTTP)"},
	} {
		var out bytes.Buffer
		code := run(t.Context(), c.args, func(string) string { return "" }, slog.New(slog.NewTextHandler(&out, nil)))
		if code != 2 || !bytes.Contains(out.Bytes(), []byte(c.says)) {
			t.Errorf("%q: got %d and %s, want 2 and %q", c.args, code, &out, c.says)
		}
	}
}
