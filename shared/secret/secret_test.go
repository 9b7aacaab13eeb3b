package secret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"wxrefund/shared/secret"
)

func TestSecretIsRevealedWhole(t *testing.T) {
	if got := secret.Text("canary").Reveal(); got != "canary" {
		t.Errorf("got %q", got)
	}
	if got := secret.Hide([]int{1, 2}).Reveal(); len(got) != 2 {
		t.Errorf("got %v", got)
	}
	var none secret.Value[string]
	if got := none.Reveal(); got != "" || none != secret.Text("") {
		t.Errorf("the zero value: %q", got)
	}
	var nothing secret.Value[error]
	if nothing.Reveal() != nil {
		t.Error("the zero value of an interface is not nil")
	}
}

func TestNoVerbPrintsASecret(t *testing.T) {
	type bytes = secret.Value[[]byte]
	for name, v := range map[string]any{
		"a text": secret.Text("canary"), "bytes": secret.Hide([]byte("canary")), "a struct": secret.Hide(struct{ A string }{"canary"}),
		"in a field":  struct{ S secret.Value[string] }{secret.Text("canary")},
		"unexported":  struct{ s secret.Value[string] }{secret.Text("canary")},
		"far inside":  &struct{ v []*bytes }{[]*bytes{new(secret.Hide([]byte("canary")))}},
		"a interface": []any{secret.Text("canary"), new(secret.Text("canary"))},
	} {
		var b strings.Builder
		for verb := 'A'; verb <= 'z'; verb++ {
			for _, flags := range []string{"", "+", "#", " ", "0", "-", "+# 0-"} {
				fmt.Fprintf(&b, "%"+flags+string(verb), v)
			}
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("", "v", v)
		if text, err := json.Marshal(v); err == nil {
			b.Write(text)
		}
		for _, leak := range []string{"canary", "63616e", "63 61 6e", "63616E", "99 97 110", "0x63, 0x61"} {
			if strings.Contains(b.String(), leak) {
				t.Errorf("%s: %q shows in %s", name, leak, b.String())
			}
		}
	}
	if got := fmt.Sprintf("%v %s %+d", secret.Text("canary"), secret.Text(""), secret.Hide(1)); got != "[hidden] [hidden] [hidden]" {
		t.Errorf("got %q", got)
	}
}
