package check

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// An environment that nobody knows is another mistake than a host that nobody knows.
func TestAnUnknownEnvironmentIsNoUnknownHost(t *testing.T) {
	for name, do := range map[string]string{
		"shop-1g2h3j4k5l.api.tcloudbasegateway.com": "correct ENV_ID in LEDGER_URL",
		"db.shop.example": "the host's name is not known here",
	} {
		err := fmt.Errorf("ledger: get: %w", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true})
		if got := database(err); !strings.Contains(got, do) {
			t.Errorf("%s: got %q, want %q", name, got, do)
		}
	}
}
