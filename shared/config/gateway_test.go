package config_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/config"
)

// Which credentials CloudBase is called with: the environment's own key before all others.
func TestTheKeyOfTheEnvironmentGoesFirst(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		want string // the key, the secret id; "error"
	}{
		"nothing":            {nil, "error"},
		"half a pair":        {map[string]string{"TENCENTCLOUD_SECRETID": "id"}, "error"},
		"a pair":             {map[string]string{"TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "k"}, " id"},
		"a key":              {map[string]string{"CLOUDBASE_APIKEY": "key"}, "key "},
		"both":               {map[string]string{"CLOUDBASE_APIKEY": " key\n", "TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "k"}, "key "},
		"a key that is none": {map[string]string{"CLOUDBASE_APIKEY": "Bearer key"}, "error"},
	} {
		c, err := config.Credentials(func(n string) string { return tt.env[n] })(t.Context())
		got := c.APIKey.Reveal() + " " + c.SecretID
		if err != nil {
			got = "error"
			if !strings.Contains(err.Error(), "CLOUDBASE_APIKEY") {
				t.Errorf("%s: %v does not name the setting", name, err)
			}
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// A ledger at CloudBase needs an environment and, where no platform lends any, credentials;
// its environment is the gateway's too, unless TCB_ENV says another.
func TestALedgerAtCloudBase(t *testing.T) {
	for name, tt := range map[string]struct {
		set  map[string]string
		want []string // parts of the error; none: it loads
	}{
		"complete":                      {map[string]string{}, nil},
		"an endpoint of one's own":      {map[string]string{"LEDGER_URL": "cloudbase:shop-1?endpoint=http://127.0.0.1:1"}, nil},
		"no key":                        {map[string]string{"CLOUDBASE_APIKEY": ""}, []string{"CLOUDBASE_APIKEY is missing"}},
		"no key on SCF":                 {map[string]string{"CLOUDBASE_APIKEY": "", "_LAMBDA_SERVER_PORT": "9001"}, nil},
		"a pair in its place":           {map[string]string{"CLOUDBASE_APIKEY": "", "TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "k"}, nil},
		"half a pair":                   {map[string]string{"CLOUDBASE_APIKEY": "", "TENCENTCLOUD_SECRETID": "id"}, []string{"CLOUDBASE_APIKEY is missing"}},
		"another spelling of the key":   {map[string]string{"CLOUDBASE_APIKEY": "", "CLOUDBASE_API_KEY": "key"}, []string{"CLOUDBASE_API_KEY is not a setting: did you mean CLOUDBASE_APIKEY?"}},
		"Bearer before the key":         {map[string]string{"CLOUDBASE_APIKEY": "Bearer canary"}, []string{"CLOUDBASE_APIKEY begins with the word Bearer"}},
		"a space in the key":            {map[string]string{"CLOUDBASE_APIKEY": "can ary"}, []string{"CLOUDBASE_APIKEY must be the key alone"}},
		"quotes around the key":         {map[string]string{"CLOUDBASE_APIKEY": `"canary"`}, []string{"CLOUDBASE_APIKEY has quotes around it"}},
		"no environment":                {map[string]string{"LEDGER_URL": "cloudbase:"}, []string{"LEDGER_URL"}},
		"an address as the environment": {map[string]string{"LEDGER_URL": "cloudbase://shop-1"}, []string{"LEDGER_URL must be the id of a CloudBase environment"}},
		"functions without TCB_ENV":     {map[string]string{"NOTIFY_FUNCTIONS": "scf:orders"}, nil},
	} {
		s := complete()
		maps.Copy(s, map[string]string{"LEDGER_URL": "cloudbase:shop-1", "CLOUDBASE_APIKEY": "key", "LEDGER_ALLOW_SQLITE": "", "TCB_ENV": ""})
		maps.Copy(s, tt.set)
		sys, err := config.Load(t.Context(), func(n string) string { return s[n] }, slog.New(slog.NewTextHandler(io.Discard, nil)), "CLOUDBASE_API_KEY")
		if err == nil {
			err = sys.Close()
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the key is shown", name)
		}
		if len(tt.want) == 0 && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", name, err, want)
			}
		}
	}
	// Who keeps a key of that kind for other programs is let be.
	s := complete()
	s["CLOUDBASE_API_KEY"] = "another program's"
	sys, err := config.Load(t.Context(), func(n string) string { return s[n] }, slog.New(slog.DiscardHandler), "CLOUDBASE_API_KEY")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(nil, errors.Join(sys.Close(), context.Cause(t.Context()))); d != "" {
		t.Error(d)
	}
}
