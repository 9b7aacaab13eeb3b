package config_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Subscribers are read in the order in which they are written.
func TestSubscribers(t *testing.T) {
	hook := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		functions, url, secret string
		want                   []string
	}{
		{"", "", "", nil},
		{"scf:orderCallback", "", "", []string{"scf:orderCallback"}},
		{" scf:a1 , scf:b_2-x,", "", "", []string{"scf:a1", "scf:b_2-x"}},
		{"", "https://shop.example/hooks?for=refunds", hook, []string{"webhook"}},
		{"scf:a1", "http://127.0.0.1:9000/", "whsec_" + hook, []string{"scf:a1", "webhook"}},
		{"", "http://localhost:9000/", hook, []string{"webhook"}},
		{"", "https://shop.example", "whsec_" + hook + "  " + hook, []string{"webhook"}},
	} {
		s := complete()
		s["TCB_ENV"], s["NOTIFY_FUNCTIONS"], s["NOTIFY_WEBHOOK_URL"], s["NOTIFY_WEBHOOK_SECRET"] = "env-1", c.functions, c.url, c.secret
		sys, err := load(t, s)
		if err != nil {
			t.Errorf("%q %q: %v", c.functions, c.url, err)
			continue
		}
		var got []string
		for _, sub := range sys.Refunds.Subscribers {
			got = append(got, sub.Name)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

func TestSubscribersAreRefused(t *testing.T) {
	hook := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct{ env, functions, url, secret, says string }{
		{"", "scf:a1", "", "", "TCB_ENV is missing"},
		{"e", "a1", "", "", "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:", "", "", "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:1a", "", "", "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:a b", "", "", "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:" + strings.Repeat("a", 61), "", "", "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:a1,scf:b1,scf:a1", "", "", "NOTIFY_FUNCTIONS names scf:a1 twice"},
		{"e", "", "https://shop.example", "", "NOTIFY_WEBHOOK_SECRET is missing beside"},
		{"e", "", "", hook, "NOTIFY_WEBHOOK_URL is missing beside"},
		{"e", "", "https://shop.example", "canary", "NOTIFY_WEBHOOK_SECRET is malformed"},
		{"e", "", "https://shop.example", hook + " canary", "NOTIFY_WEBHOOK_SECRET is malformed in the second of two"},
		{"e", "", "https://shop.example", "canary " + hook, "NOTIFY_WEBHOOK_SECRET is malformed in the first of two"},
		{"e", "", "https://shop.example", hook + "," + hook, "NOTIFY_WEBHOOK_SECRET is malformed: it must be base64"},
		{"e", "", "https://shop.example", hook + " " + hook + " canary", "NOTIFY_WEBHOOK_SECRET is malformed: it holds more than two"},
		{"e", "", "http://shop.example", hook, "NOTIFY_WEBHOOK_URL must be an https address"},
		{"e", "", "https://user:canary@shop.example", hook, "NOTIFY_WEBHOOK_URL must be an https address"},
		{"e", "", "shop.example", hook, "NOTIFY_WEBHOOK_URL must be an https address"},
	} {
		s := complete()
		s["TCB_ENV"], s["NOTIFY_FUNCTIONS"], s["NOTIFY_WEBHOOK_URL"], s["NOTIFY_WEBHOOK_SECRET"] = c.env, c.functions, c.url, c.secret
		_, err := load(t, s)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q %q %q: %v, want %q", c.functions, c.url, c.secret, err, c.says)
		}
	}
}
