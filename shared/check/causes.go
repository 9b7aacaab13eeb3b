package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"regexp"
	"strings"
	"syscall"

	"wxrefund/shared/ledger"
)

// What stands behind an error of the network or of a database, and what to do about it.

// ledgerURL is the setting that says where the ledger stands.
const ledgerURL = "LEDGER_URL"

const elsewhere = "if it can only be reached from where the functions run, run this there or through a tunnel"

// network says what to do about a call that did not get through, to an address that a
// setting names; "" if none does. It is "" if it is another kind of error.
func network(err error, setting string) string {
	correct := func(what string) string {
		if setting == "" {
			return ""
		}
		return ", or correct " + what + " in " + setting
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if setting == ledgerURL && strings.HasSuffix(dns.Name, ".tcloudbasegateway.com") {
			return "no environment of CloudBase is known by that name here: correct ENV_ID in LEDGER_URL; outside mainland China it is cloudbase:ENV_ID?endpoint=https://ENV_ID.api.intl.tcloudbasegateway.com"
		}
		return "the host's name is not known here: see that this machine can look names up" + correct("it") + "; " + elsewhere
	}
	var (
		_, unknown = errors.AsType[x509.UnknownAuthorityError](err)
		_, name    = errors.AsType[x509.HostnameError](err)
		_, invalid = errors.AsType[x509.CertificateInvalidError](err)
		_, noTLS   = errors.AsType[tls.RecordHeaderError](err)
		timeout    net.Error
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: start the server" + correct("host and port") + "; " + elsewhere
	case unknown, name, invalid:
		return "the server's certificate is not good for this name, has ended, or is of an authority that is not trusted: renew it, name the authority" + correct("the host")
	case noTLS:
		return "the other side speaks no TLS at that port: see what listens there" + correct("port or scheme")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "nothing answers: a firewall, a security group or a VPC stands between, or the host is down" + correct("it") + "; " + elsewhere
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return "the connection was not made or broke off: look at what stands between" + correct("host and port") + "; " + elsewhere
	}
	return ""
}

// findings are the errors that a ledger reports at once, each with a code of its own; or the
// one that it is.
func findings(err error) (all []error) {
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if ok {
		for _, each := range joined.Unwrap() {
			if _, ok := errors.AsType[coded](each); ok {
				all = append(all, each)
			}
		}
	}
	if len(all) < 2 {
		return []error{err}
	}
	return all
}

// A coded error is one of a ledger at CloudBase, with the code that CloudBase gave it or the
// ledger's look at the database.
type coded interface {
	error
	Code() string
	Do() string // about it; "": nothing is known
}

// LedgerRemedy says what to do about an error of a ledger that a setting or a flag names.
func LedgerRemedy(err error, setting string) string {
	if errors.Is(err, ledger.ErrNewer) {
		return "a newer version has been at work: deploy all functions, and run this, from that version"
	}
	if known, ok := errors.AsType[coded](err); ok && known.Do() != "" {
		return known.Do()
	}
	if do := network(err, setting); do != "" {
		return do
	}
	var (
		password = "correct user and password in " + setting + " (percent-encoded: # is %23), and see that this user may come from here"
		plugin   = "let this user log in with a password (mysql_native_password or caching_sha2_password), or correct the user in " + setting
		renew    = "give this user a new password, and write it into " + setting
		access   = "let this user into the database, and create and change tables there (GRANT), or correct user and database in " + setting
		none     = "create the database, or correct its name in " + setting
		grant    = "let this user create and change tables there, or have somebody create the table who may"
		migrate  = "apply the files in migrations of the package by CloudBase's own command (tcb db pg migration), whose role may change tables"
		later    = "run this again in a minute; if it stays so, see in CloudBase's console whether the database runs, and has connections left"
	)
	switch databaseCode(err) {
	case "28P01", "28000", "1045", "1698":
		return password
	case "1251", "1275", "1524":
		return plugin
	case "1820", "1862":
		return renew
	case "1044":
		return access
	case "3D000", "1049":
		return none
	case "42501", "1142", "1143", "25006":
		return grant
	case "DATABASE_42501", "DATABASE_25006", "DATABASE_42P01", "DATABASE_3F000":
		return migrate
	case "DATABASE_EXEC_ERROR", "INTERNAL_ERROR":
		return later
	case "ResourceNotFoundException":
		return "create the table as template.yaml does, or correct its name and region in " + setting
	case "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "AccessDeniedException", "IncompleteSignatureException":
		return "give this program credentials that may use the table (the policy in template.yaml)"
	}
	return "the text says what the database does not like; correct " + setting + " if it is about that (shared/ledger/README.md says what each takes)"
}

// databaseCode is the database's own code: SQLSTATE of PostgreSQL, MySQL's number,
// the name of AWS's error, CloudBase's as it wrote it; "" if there is none.
func databaseCode(err error) string {
	if pg, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return pg.SQLState()
	}
	if aws, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		return aws.ErrorCode()
	}
	if known, ok := errors.AsType[coded](err); ok {
		return known.Code()
	}
	// As MySQL's driver writes it: Error 1045 (28000): Access denied …
	if m := regexp.MustCompile(`Error (\d+) \(\w{5}\)`).FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return ""
}
