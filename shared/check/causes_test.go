package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// Whoever is not let in is told so by every code that databases have for it: the user, the
// password or the way to log in is wrong, and not what the user may do there.
func TestEveryCodeOfALoginLeadsToTheLogin(t *testing.T) {
	const sqlState = "28000"
	for _, c := range []struct {
		err error
		do  string
	}{
		{&pgconn.PgError{Code: "28P01"}, "correct user and password"},
		{&pgconn.PgError{Code: sqlState}, "correct user and password"},
		{&mysql.MySQLError{Number: 1045, SQLState: [5]byte([]byte(sqlState))}, "correct user and password"},
		{&mysql.MySQLError{Number: 1698, SQLState: [5]byte([]byte(sqlState))}, "correct user and password"},
		{&mysql.MySQLError{Number: 1251, SQLState: [5]byte([]byte("08004"))}, "log in with a password"},
		{&mysql.MySQLError{Number: 1275, SQLState: [5]byte([]byte("HY000"))}, "log in with a password"},
		{&mysql.MySQLError{Number: 1524, SQLState: [5]byte([]byte("HY000"))}, "log in with a password"},
		{&mysql.MySQLError{Number: 1820, SQLState: [5]byte([]byte("HY000"))}, "a new password"},
		{&mysql.MySQLError{Number: 1862, SQLState: [5]byte([]byte("HY000"))}, "a new password"},
		{&mysql.MySQLError{Number: 1044, SQLState: [5]byte([]byte("42000"))}, "into the database"},
	} {
		if got := LedgerRemedy(fmt.Errorf("ledger: schema: %w", c.err), ledgerURL); !strings.Contains(got, c.do) {
			t.Errorf("%v: got %q, want %q", c.err, got, c.do)
		}
	}
}

// An environment that nobody knows is another mistake than a host that nobody knows.
func TestAnUnknownEnvironmentIsNoUnknownHost(t *testing.T) {
	for name, do := range map[string]string{
		"shop-1g2h3j4k5l.api.tcloudbasegateway.com": "correct ENV_ID in LEDGER_URL",
		"db.shop.example": "the host's name is not known here",
	} {
		err := fmt.Errorf("ledger: get: %w", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true})
		if got := LedgerRemedy(err, ledgerURL); !strings.Contains(got, do) {
			t.Errorf("%s: got %q, want %q", name, got, do)
		}
	}
}

// What did not get through leads to the setting that names the address, if one does: nobody
// is told to correct an address that is WeChat Pay's own.
func TestACallThatDidNotGetThroughLeadsToTheSetting(t *testing.T) {
	for _, err := range []error{
		&net.DNSError{Err: "no such host", Name: "shop.example", IsNotFound: true},
		&net.DNSError{Err: "no such host", Name: "env.api.tcloudbasegateway.com", IsNotFound: true},
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, &net.OpError{Op: "read", Err: syscall.ECONNRESET},
		x509.UnknownAuthorityError{}, x509.HostnameError{Certificate: &x509.Certificate{}, Host: "shop.example"}, tls.RecordHeaderError{}, context.DeadlineExceeded,
	} {
		wrapped := fmt.Errorf("call: %w", err)
		if do := network(wrapped, "WXPAY_NOTIFY_URL"); !strings.Contains(do, "in WXPAY_NOTIFY_URL") {
			t.Errorf("%v: got %q, which does not name the setting", err, do)
		}
		if do := network(wrapped, ""); do == "" || strings.Contains(do, "correct") {
			t.Errorf("%v: got %q, where there is nothing to correct", err, do)
		}
	}
	if do := network(errors.New("malformed"), "WXPAY_NOTIFY_URL"); do != "" {
		t.Errorf("got %q of what is not the network's", do)
	}
}
