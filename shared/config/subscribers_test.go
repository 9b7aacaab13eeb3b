package config_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// Subscribers are read in the order in which they are written, or what is wrong is named.
func TestSubscribersAreReadOrRefused(t *testing.T) {
	hook := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		env, functions, url, secret string
		want                        []string
		says                        string // of the error; empty: there is none
	}{
		{"env-1", "", "", "", nil, ""},
		{"env-1", "scf:orderCallback", "", "", []string{"scf:orderCallback"}, ""},
		{"env-1", " scf:a1 , scf:b_2-x,", "", "", []string{"scf:a1", "scf:b_2-x"}, ""},
		{"env-1", "", "https://shop.example/hooks?for=refunds", hook, []string{"webhook"}, ""},
		{"env-1", "scf:a1", "http://127.0.0.1:9000/", "whsec_" + hook, []string{"scf:a1", "webhook"}, ""},
		{"env-1", "", "http://localhost:9000/", hook, []string{"webhook"}, ""},
		{"env-1", "", "https://shop.example", "whsec_" + hook + "  " + hook, []string{"webhook"}, ""},
		{"", "scf:a1", "", "", nil, "TCB_ENV is missing"},
		{"https://e", "scf:a1", "", "", nil, "TCB_ENV must be the id of a CloudBase environment"},
		{"e", "a1", "", "", nil, "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:", "", "", nil, "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:1a", "", "", nil, "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:a b", "", "", nil, "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:" + strings.Repeat("a", 61), "", "", nil, "NOTIFY_FUNCTIONS must be a list such as"},
		{"e", "scf:a1,scf:b1,scf:a1", "", "", nil, "NOTIFY_FUNCTIONS names scf:a1 twice"},
		{"e", "", "https://shop.example", "", nil, "NOTIFY_WEBHOOK_SECRET is missing beside"},
		{"e", "", "", hook, nil, "NOTIFY_WEBHOOK_URL is missing beside"},
		{"e", "", "https://shop.example", "canary", nil, "NOTIFY_WEBHOOK_SECRET is malformed"},
		{"e", "", "https://shop.example", hook + " canary", nil, "NOTIFY_WEBHOOK_SECRET is malformed in the second of two"},
		{"e", "", "https://shop.example", "canary " + hook, nil, "NOTIFY_WEBHOOK_SECRET is malformed in the first of two"},
		{"e", "", "https://shop.example", hook + "," + hook, nil, "NOTIFY_WEBHOOK_SECRET is malformed: it must be base64"},
		{"e", "", "https://shop.example", hook + " " + hook + " canary", nil, "NOTIFY_WEBHOOK_SECRET is malformed: it holds more than two"},
		{"e", "", "http://shop.example", hook, nil, "NOTIFY_WEBHOOK_URL must be an https address"},
		{"e", "", "https://user:canary@shop.example", hook, nil, "NOTIFY_WEBHOOK_URL must be an https address"},
		{"e", "", "shop.example", hook, nil, "NOTIFY_WEBHOOK_URL must be an https address"},
	} {
		s := complete()
		s["TCB_ENV"], s["NOTIFY_FUNCTIONS"], s["NOTIFY_WEBHOOK_URL"], s["NOTIFY_WEBHOOK_SECRET"] = c.env, c.functions, c.url, c.secret
		sys, err := load(t, s)
		if err != nil || c.says != "" {
			if err == nil || c.says == "" || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%q %q %q: %v, want %q", c.functions, c.url, c.secret, err, c.says)
			}
			continue
		}
		var got []string
		for _, sub := range sys.Refunds.Subscribers {
			got = append(got, sub.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q %q: got %q, want %q", c.functions, c.url, got, c.want)
		}
	}
}
