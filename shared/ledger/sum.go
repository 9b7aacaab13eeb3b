package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"math/bits"
	"net/url"
	"path/filepath"
	"strings"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
)

// A Sum says what items there are: how many, how large, and a checksum that does not
// depend on their order, since each database lists them in its own. Of two ledgers with
// the same sum one is as good as the other. An item's version is left out: it counts the
// commits of one database, and a copy has had fewer.
type Sum struct {
	Items int64
	Bytes int64     // of the bodies
	Check [4]uint64 // the items' SHA-256 over key, due, class, at and body, added up
}

// String is the checksum in hexadecimal.
func (s Sum) String() string {
	var b []byte
	for _, word := range s.Check {
		b = binary.BigEndian.AppendUint64(b, word)
	}
	return hex.EncodeToString(b)
}

// Add counts one more item. Sums are added, and not combined by exclusive or, so that an
// item that is listed twice shows.
func (s *Sum) Add(it refund.Item) {
	h := sha256.New()
	part(h, []byte(it.Key))
	part(h, binary.BigEndian.AppendUint64(nil, uint64(millis(it.Due)))) // #nosec G115 -- any bits will do
	part(h, []byte(it.Class))
	part(h, binary.BigEndian.AppendUint64(nil, uint64(millis(it.At)))) // #nosec G115 -- any bits will do
	part(h, it.Body)
	digest, carry := h.Sum(nil), uint64(0)
	for i := len(s.Check) - 1; i >= 0; i-- {
		s.Check[i], carry = bits.Add64(s.Check[i], binary.BigEndian.Uint64(digest[8*i:]), carry)
	}
	s.Items++
	s.Bytes += int64(len(it.Body))
}

// part hashes a text with its length, so that no two items are the same text.
func part(h hash.Hash, text []byte) {
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
	h.Write(text)
}

// SumOf reads a whole ledger, but for the items that are its database's alone.
func SumOf(ctx context.Context, l refund.Ledger) (sum Sum, err error) {
	err = eachBatch(ctx, l, func(items []refund.Item) error {
		for _, it := range items {
			sum.Add(it)
		}
		return nil
	})
	return sum, err
}

// Name names the database of a URL without what is secret in it: a hash of its kind, its
// place and its name.
func Name(ledgerURL string) (string, error) {
	scheme, rest, _ := strings.Cut(ledgerURL, ":")
	place := rest
	if scheme == "sqlite" {
		if path, err := filepath.Abs(rest); err == nil && rest != ":memory:" {
			place = path
		}
	} else {
		u, err := url.Parse(ledgerURL)
		if err != nil {
			return "", fmt.Errorf("ledger: the URL of scheme %q cannot be read", scheme)
		}
		place = u.Host + u.Path
		switch scheme {
		case "dynamodb": // one table's name in two regions names two tables
			place += " " + u.Query().Get("region") + " " + u.Query().Get("endpoint")
		case "cloudbase":
			place = u.Opaque + " " + cmp.Or(u.Query().Get("endpoint"), cloudbase.APIURL(u.Opaque))
		}
	}
	sum := sha256.Sum256([]byte(scheme + " " + place))
	return hex.EncodeToString(sum[:12]), nil
}
