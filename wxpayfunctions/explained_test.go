package wxpayfunctions

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"wxrefund/shared/explain"
)

// Whoever looks up an err_code that we have answered by ourselves finds what we mean by it,
// by the code beside it, and before what WeChat Pay means by the same name.
func TestEveryErrCodeOfOurOwnIsExplainedAsOurs(t *testing.T) {
	names := map[string]bool{}
	for is, env := range codes() {
		if env.ErrCode == "" {
			continue
		}
		names[env.ErrCode] = true
		found, err := explain.Find(env.ErrCode, "")
		if err != nil || len(found) == 0 || !found[0].Ours() {
			t.Errorf("%s: %s is not explained as ours first: %v, %v", is, env.ErrCode, found, err)
			continue
		}
		for _, l := range []explain.Language{explain.English, explain.Chinese} {
			if text, _ := found[0].In(l); !strings.Contains(text.Cause, fmt.Sprint(env.Code)) {
				t.Errorf("%s: %s, in %s, does not say that `code` is %d", is, env.ErrCode, l, env.Code)
			}
		}
		if slices.ContainsFunc(found[1:], explain.Entry.Ours) {
			t.Errorf("%s is explained as ours twice", env.ErrCode)
		}
	}
	groups, err := explain.Groups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		for _, e := range g.Entries {
			if e.Ours() && !names[e.Code] {
				t.Errorf("%s is explained as ours, and we never answer it", e.Code)
			}
		}
	}
}

// What nothing of ours repeats is not said to heal by itself.
func TestWhatWeRefuseIsNotSaidToHealByItself(t *testing.T) {
	for _, env := range codes() {
		for _, code := range []string{env.ErrCode, fmt.Sprint(env.Code)} {
			found, err := explain.Find(code, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range found {
				if (e.Ours() || slices.Contains(e.Of, "reply")) && e.Heals == explain.ByItself {
					t.Errorf("%s is said to heal by itself", code)
				}
			}
		}
	}
}
