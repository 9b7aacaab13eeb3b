package world

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"
)

// hostNames are the real hosts that are played: a client that cannot be given another
// host finds this one under their names, by /etc/hosts or a proxy. Those below
// tcb-api.tencentcloudapi.com begin with an environment and a region.
var hostNames = [...]string{
	"api.mch.weixin.qq.com", "api2.mch.weixin.qq.com", "apihk.mch.weixin.qq.com", "apius.mch.weixin.qq.com",
	"qyapi.weixin.qq.com", "api.weixin.qq.com",
	"tcb-api.tencentcloudapi.com", "*.tcb-api.tencentcloudapi.com", "*.ap-shanghai.tcb-api.tencentcloudapi.com",
	"*.ap-guangzhou.tcb-api.tencentcloudapi.com", "*.ap-beijing.tcb-api.tencentcloudapi.com",
}

// Plays tells whether a host is played, under its own name or as this machine.
func (w *World) Plays(host string) bool { return w.Keys.server.Cert.VerifyHostname(host) == nil }

// serverLife is how long the server's certificate is valid. macOS trusts none that is
// valid for more than 825 days, whoever has issued it.
const serverLife = 800 * 24 * time.Hour

// serverTemplate is the certificate of the TLS side.
func serverTemplate(now time.Time) *x509.Certificate {
	t := template("localhost", now.Add(-24*time.Hour))
	t.NotAfter = t.NotBefore.Add(serverLife)
	t.DNSNames = append([]string{"localhost"}, hostNames[:]...)
	t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return t
}

// tls asks for a client certificate and takes connections without one, and with any: the
// real host does so too, and leaves it to the web server to say what is wrong with it.
func (k *Keys) tls() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(k.ca.Cert)
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{k.server.Cert.Raw, k.ca.Cert.Raw}, PrivateKey: k.server.Key}},
		ClientAuth:   tls.RequestClientCert,
		ClientCAs:    roots, // some clients show only what one of these has issued
	}
}
