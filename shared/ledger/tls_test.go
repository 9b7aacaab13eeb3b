//go:build heavy && unix

package ledger

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxrefund/shared/needs"
)

// Database servers of the tests' own, whose certificates the tests make. They
// listen on this machine alone.

// An authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	var a authority
	a.cert, a.key = certify(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	return a
}

// certify makes a certificate, which an authority signs or, without one, its own key.
func certify(t *testing.T, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// write puts the authority's certificate into a file, and returns its path.
func (a authority) write(t *testing.T, dir, name string) string {
	t.Helper()
	return writePEM(t, filepath.Join(dir, name), "CERTIFICATE", a.cert.Raw)
}

// server makes files with a certificate for a name and the far host, and its key.
func (a authority) server(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	public, private := certify(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.ParseIP(farHost)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &a)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, filepath.Join(dir, "server.crt"), "CERTIFICATE", public.Raw), writePEM(t, filepath.Join(dir, "server.key"), "PRIVATE KEY", pkcs8)
}

func writePEM(t *testing.T, path, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serverDir is a directory that belongs to an unprivileged user, as whom commands
// are run if we are root: database servers refuse to run as root.
func serverDir(t *testing.T, name string) (dir string, command func(program string, args ...string) *exec.Cmd) {
	t.Helper()
	dir, err := os.MkdirTemp("", "wxrefund-tls-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attributes := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		u, err := user.Lookup(name)
		if err != nil {
			needs.Skip(t, "a user to run the server as: "+err.Error())
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // a user's number
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return dir, func(program string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
		cmd.Dir, cmd.SysProcAttr = dir, attributes
		return cmd
	}
}

// give hands files to whom a directory belongs.
func give(t *testing.T, dir string, paths ...string) {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	for _, path := range paths {
		if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// serve starts a server and waits until something listens.
func serve(t *testing.T, cmd *exec.Cmd, port string) {
	t.Helper()
	var log strings.Builder
	cmd.Stderr, cmd.Stdout = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the server's log:\n%s", log.String())
		}
	})
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			return
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	t.Fatalf("the server does not listen:\n%s", log.String())
}

// A handshake is a URL, and what comes of it.
type handshake struct {
	name, host, query string
	secure            bool   // it is encrypted
	want              string // what the error says; "": there is none
}

// try opens a ledger for each, and uses it.
func try(t *testing.T, scheme, port, user string, secure string, rows []handshake) {
	t.Helper()
	for _, row := range rows {
		url := fmt.Sprintf("%s://%s@%s:%s/refunds?%s", scheme, user, row.host, port, row.query)
		s, err := Open(t.Context(), url)
		if err == nil {
			_, err = s.Get(t.Context(), "a")
		}
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: %v, want a connection", row.name, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: error %v, want %q", row.name, err, row.want)
		case err == nil:
			var got bool
			if err := s.store.(*server).db.QueryRowContext(t.Context(), secure).Scan(&got); err != nil || got != row.secure {
				t.Errorf("%s: encrypted: %t (%v), want %t", row.name, got, err, row.secure)
			}
		}
		if s != nil {
			s.Close()
		}
	}
}

// A server must prove who it is; near it need not, unless that is asked for.
func TestPostgresServerMustProveWhoItIs(t *testing.T) {
	t.Parallel()
	if !hasDriver("postgres") {
		t.Skip("this program has no PostgreSQL")
	}
	// Where Debian has it, which is on nobody's path.
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.Reverse(found)
	initdb := needs.Program(t, append([]string{"initdb"}, found...)...)
	dir, command := serverDir(t, "postgres")
	ours, others := newAuthority(t), newAuthority(t)
	cert, key := ours.server(t, dir)
	give(t, dir, cert, key)
	ca, wrong := ours.write(t, t.TempDir(), "ca.crt"), others.write(t, t.TempDir(), "other.crt")
	data := filepath.Join(dir, "data")
	if out, err := command(initdb, "-D", data, "-U", "root", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := freePort(t)
	serve(t, command(filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
		"-c", "unix_socket_directories="+dir, "-c", "ssl=on", "-c", "ssl_cert_file="+cert, "-c", "ssl_key_file="+key), port)
	admin := database(t, "postgres://root@127.0.0.1:"+port+"/postgres")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		_, err := admin.ExecContext(t.Context(), "CREATE DATABASE refunds")
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	try(t, "postgres", port, "root", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", []handshake{
		{"near, nothing said", "127.0.0.1", "", false, ""},
		{"near, verified", "localhost", "sslmode=verify-full&sslrootcert=" + ca, true, ""},
		{"near, another authority", "localhost", "sslmode=verify-full&sslrootcert=" + wrong, false, "certificate signed by unknown authority"},
		{"near, another name", "127.0.0.1", "sslmode=verify-full&sslrootcert=" + ca, false, "certificate is valid for"},
		{"far, verified though nothing is said", farHost, "sslrootcert=" + ca, true, ""},
		{"far, another authority", farHost, "sslrootcert=" + wrong, false, "certificate signed by unknown authority"},
		{"far, the system's authorities", farHost, "", false, "certificate signed by unknown authority"},
		{"far, encrypted to anybody", farHost, "sslmode=require", true, ""},
	})
}

func TestMySQLServerMustProveWhoItIs(t *testing.T) {
	t.Parallel()
	if !hasDriver("mysql") {
		t.Skip("this program has no MySQL")
	}
	install := needs.Program(t, "mariadb-install-db", "mysql_install_db")
	daemon := needs.Program(t, "mariadbd", "/usr/sbin/mariadbd", "/usr/sbin/mysqld")
	dir, command := serverDir(t, "mysql")
	ours, others := newAuthority(t), newAuthority(t)
	cert, key := ours.server(t, dir)
	own := ours.write(t, dir, "ca.crt")
	give(t, dir, cert, key, own)
	ca, wrong := ours.write(t, t.TempDir(), "ca.crt"), others.write(t, t.TempDir(), "other.crt")
	data := filepath.Join(dir, "data")
	if out, err := command(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve").CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", install, err, out)
	}
	port := freePort(t)
	serve(t, command(daemon, "--no-defaults", "--datadir="+data, "--port="+port, "--bind-address=127.0.0.1", "--socket="+filepath.Join(dir, "s"),
		"--pid-file="+filepath.Join(dir, "pid"), "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--ssl-ca="+own, "--ssl-cert="+cert, "--ssl-key="+key), port)
	admin := database(t, "mysql://root@127.0.0.1:"+port+"/mysql")
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE refunds"); err != nil {
		t.Fatal(err)
	}
	try(t, "mysql", port, "root", "SELECT variable_value <> '' FROM information_schema.session_status WHERE variable_name = 'SSL_VERSION'", []handshake{
		{"near, nothing said", "127.0.0.1", "", false, ""},
		{"near, an authority given", "localhost", "tls_ca=" + ca, true, ""},
		{"near, verified", "localhost", "tls=true&tls_ca=" + ca, true, ""},
		{"near, another authority", "localhost", "tls=true&tls_ca=" + wrong, false, "certificate signed by unknown authority"},
		{"near, another name", "127.0.0.1", "tls=true&tls_ca=" + ca, false, "certificate is valid for"},
		{"far, verified though nothing is said", farHost, "tls_ca=" + ca, true, ""},
		{"far, another authority", farHost, "tls_ca=" + wrong, false, "certificate signed by unknown authority"},
		{"far, the system's authorities", farHost, "", false, "certificate signed by unknown authority"},
		{"far, encrypted to anybody", farHost, "tls=skip-verify", true, ""},
	})
}
