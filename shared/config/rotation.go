package config

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"wxrefund/shared/wxpay"
)

// While a key is changed, what was made with the one before is still on its way for
// a day. So a setting may hold two: the new one first, which ours is made with, and
// the old one, which theirs may be made with as well.

// A pair parses both values of a setting; the second may be absent.
func pair[T any](r *reader, name string, values []string, parse func(string) (T, error)) []T {
	if len(values) > 2 {
		r.problem(name, "is malformed: it holds more than two, the new one and the old one")
		return nil
	}
	var all []T
	for i, v := range values {
		t, err := parse(v)
		if err != nil {
			where := "is malformed: "
			if len(values) == 2 {
				where = fmt.Sprintf("is malformed in the %s of two: ", []string{"first", "second"}[i])
			}
			r.problem(name, where+malformed(name, v)) // the parser's own text might quote the value
			continue
		}
		all = append(all, t)
	}
	if len(all) < len(values) {
		return nil
	}
	return all
}

// keySize is that of the keys that a merchant sets on the merchant platform, in bytes.
const keySize = 32

// twoKeys cuts a new and an old key apart, at the comma between them. Since each has
// keySize bytes, a comma in a key is none between two.
func twoKeys(v string) []string {
	switch {
	case v == "":
		return nil
	case len(v) == keySize:
		return []string{v}
	case len(v) == keySize+1+keySize && v[keySize] == ',':
		return []string{v[:keySize], v[keySize+1:]}
	}
	return parts(v, ",")
}

// parts cuts a list apart; what is empty in it does not count.
func parts(v, sep string) []string {
	var all []string
	for p := range strings.SplitSeq(v, sep) {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, p)
		}
	}
	if len(all) == 0 && v != "" {
		return []string{v} // malformed, and not absent
	}
	return all
}

// either joins two keys to one that does what both do.
func either[K interface{ Or(K) K }](keys []K) K {
	var all K
	for _, k := range keys {
		all = all.Or(k)
	}
	return all
}

// A publicKey is one of WeChat Pay's, by its ID.
type publicKey struct {
	id  string
	key *rsa.PublicKey
}

// publicKeys reads WeChat Pay's public keys: as many as there are IDs, in the same order.
func publicKeys(r *reader) []publicKey {
	const name, keys = "WXPAY_PUBLIC_KEY_ID", "WXPAY_PUBLIC_KEY"
	text := r.pem(keys)
	ids, texts := parts(r.get(name), ","), splitPEM(text)
	switch {
	case len(ids) > 0 && r.away(text):
		return nil
	case len(ids) == 0 && len(texts) == 0:
		return nil
	case len(ids) == 0:
		r.problem(name, "is missing beside "+keys)
	case len(texts) == 0:
		r.problem(keys, "is missing beside "+name)
	case len(ids) > 2:
		r.problem(name, "is malformed: it holds more than two, the new one and the old one")
	case len(ids) == 2 && ids[0] == ids[1]:
		r.problem(name, "is malformed: the two are the same")
	case len(ids) != len(texts):
		r.problem(keys, fmt.Sprintf("is malformed: it must hold as many keys as %s has ids, which is %d, and holds %d", name, len(ids), len(texts)))
	case slices.ContainsFunc(ids, func(id string) bool { return !strings.HasPrefix(id, "PUB_KEY_ID_") }):
		r.problem(name, "is malformed: the id of a WeChat Pay public key begins with PUB_KEY_ID_")
	}
	if r.away(text) {
		return nil
	}
	parsed := pair(r, keys, texts, wxpay.ParsePublicKey)
	if len(parsed) != len(ids) {
		return nil // one of the problems above
	}
	var all []publicKey
	for i, id := range ids {
		all = append(all, publicKey{id, parsed[i]})
	}
	return all
}

// splitPEM cuts PEM texts that stand behind each other apart. What stands before the
// first belongs to it; whether each is what it should be is for who parses it.
func splitPEM(text string) []string {
	const begin = "-----BEGIN "
	var all []string
	for i, p := range strings.Split(text, begin) {
		switch {
		case i > 0 && (i > 1 || len(all) == 0):
			all = append(all, begin+p)
		case i == 1:
			all[0] += begin + p
		case strings.TrimSpace(p) != "":
			all = append(all, p)
		}
	}
	return all
}
