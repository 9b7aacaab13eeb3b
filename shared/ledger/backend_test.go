package ledger

import (
	"slices"
	"strings"
	"testing"

	"wxrefund/shared/needs"
)

// fresh returns the URL of an empty ledger, or ends the test if the backend's variable
// is not set.
func (b backend) fresh(t testing.TB) string {
	t.Helper()
	if b.env == "" {
		return b.url(t, "")
	}
	return b.url(t, needs.Env(t, b.env))
}

// freshOf returns the URL of an empty ledger of one scheme, or ends the test. The
// test runs beside others.
func freshOf(t *testing.T, scheme string) string {
	t.Helper()
	t.Parallel()
	all := backends()
	return all[slices.IndexFunc(all, func(b backend) bool { return b.scheme == scheme })].fresh(t)
}

// refusesURLs insists that none of the URLs, which are given without their scheme,
// opens a ledger, and that no error shows the password, which begins with "tig".
func refusesURLs(t *testing.T, scheme string, wants map[string]string) {
	t.Helper()
	prefix := "ledger: "
	if scheme != "" {
		prefix, scheme = prefix+"open "+scheme+": ", scheme+":"
	}
	for rest, want := range wants {
		s, err := Open(t.Context(), scheme+rest)
		if err == nil {
			s.Close()
			t.Errorf("%q: no error", rest)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "tig") || !strings.HasPrefix(err.Error(), prefix) {
			t.Errorf("%q: got %q, want %q and no password", rest, err, want)
		}
	}
}
