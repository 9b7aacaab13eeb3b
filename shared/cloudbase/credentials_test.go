package cloudbase

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"wxrefund/shared/secret"
)

func TestNothingPrintsCredentialsOrTheSigningKey(t *testing.T) {
	const canary = "CANARY"
	hidden := secret.Text(canary)
	c := Credentials{canary, hidden, hidden, hidden, hidden, hidden, hidden, canary}
	s := TC3Signer{"AKIDEXAMPLE", hidden}
	var out strings.Builder
	for _, v := range []any{
		c, &c, struct{ C Credentials }{c}, struct{ C *Credentials }{&c}, []Credentials{c},
		s, &s, struct{ S TC3Signer }{s}, struct{ S *TC3Signer }{&s}, struct{ TC3Signer }{s}, map[string]any{"a": []any{s, &s}},
	} {
		for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(h).Info("c", "value", v)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "% x", "%#x", "%08v", "%o", "%c"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, leak := range []string{canary, "43414e415259", "43414E415259", "67 65 78 65 82 89"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%s shows:\n%s", leak, out.String())
		}
	}
	if !strings.Contains(out.String(), "(hidden)") {
		t.Error("nothing was printed")
	}
}

// One may still see which key it is.
func TestTC3SignerShowsItsID(t *testing.T) {
	for _, verb := range []string{"%v", "%s", "%+v", "%#v"} {
		if got, want := fmt.Sprintf(verb, newTC3Signer()), "[TC3 key AKIDEXAMPLE]"; got != want {
			t.Errorf("%s: got %s, want %s", verb, got, want)
		}
	}
}
