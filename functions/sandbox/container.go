package main

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// containerListen is where our side listens in a container that says nothing of it.
const containerListen = "0.0.0.0:8700"

// listenInContainer makes the flags those of a container, unless they were given: it is
// reached from outside of itself.
func listenInContainer(flags *flag.FlagSet) error {
	return setUnlessGiven(flags, map[string]string{"listen": containerListen, "wechat": "0.0.0.0:8701", "wechat-tls": "0.0.0.0:8702"})
}

// ourAddress is where our side listens: in a container at PORT, unless the flag says more.
func (o options) ourAddress(getenv func(string) string) string {
	if port := getenv("PORT"); o.container && port != "" && o.listen == containerListen {
		return net.JoinHostPort("0.0.0.0", port)
	}
	return o.listen
}

// fromThisMachine lets the container's gateway pass for this machine: whatever comes by a
// published port comes from it, and that is published on the machine that runs the
// container. Whoever else shares the container's network is as foreign as before, and so
// is a Host that is not this machine's.
func fromThisMachine(next http.Handler) http.Handler {
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return next
	}
	gateway, ok := defaultGateway(string(routes))
	if !ok || !onlyNetwork() {
		return next
	}
	return fromGateway(gateway, next)
}

func fromGateway(gateway netip.Addr, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && from.Addr().Unmap() == gateway {
			local := *r
			local.RemoteAddr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), from.Port()).String()
			r = &local
		}
		next.ServeHTTP(w, r)
	})
}

// onlyNetwork tells that the machine has one network beside itself, as a container of a
// bridge has. With the host's networks its gateway would be a router.
func onlyNetwork() bool {
	all, err := net.Interfaces()
	if err != nil {
		return false
	}
	n := 0
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			n++
		}
	}
	return n == 1
}

// defaultGateway reads Linux's table of IPv4 routes (/proc/net/route): addresses are
// hexadecimal, in the byte order of the machine, which is little-endian on all that we
// build for.
func defaultGateway(routes string) (netip.Addr, bool) {
	const isGateway = 0x2 // RTF_GATEWAY
	for line := range strings.Lines(routes) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		flags, err := strconv.ParseUint(f[3], 16, 16)
		address, bad := hex.DecodeString(f[2])
		if err != nil || bad != nil || flags&isGateway == 0 || len(address) != 4 {
			continue
		}
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], binary.BigEndian.Uint32(address))
		return netip.AddrFrom4(b), true
	}
	return netip.Addr{}, false
}
