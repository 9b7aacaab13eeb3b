package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// Dice are all the chance there is, keys and nonces apart. A throw depends on
// the seed and on what it is thrown for, not on how many were thrown before: so
// requests that race each other do not change one another's fate, and a run can
// be had again.
type dice int64

func (d dice) throw(purpose string, about ...any) *rand.Rand {
	sum := sha256.Sum256(fmt.Appendln(nil, append([]any{int64(d), purpose}, about...)...))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])))
}

// seconds throws a whole number of seconds from least to most.
func (d dice) seconds(least, most time.Duration, purpose string, about ...any) time.Duration {
	return least + time.Duration(d.throw(purpose, about...).Int64N(int64((most-least)/time.Second)+1))*time.Second
}

// digits throws a number of n decimal digits.
func (d dice) digits(n int, purpose string, about ...any) string {
	return d.text(n, "0123456789", purpose, about...)
}

// text throws n characters of an alphabet.
func (d dice) text(n int, alphabet, purpose string, about ...any) string {
	r := d.throw(purpose, about...)
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// uuid throws the number of a notification, in the form that WeChat Pay's have.
func (d dice) uuid(purpose string, about ...any) string {
	r := d.throw(purpose, about...)
	hi, lo := r.Uint64()&^0xf000|0x4000, r.Uint64()&^(3<<62)|1<<63
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffffffffffff)
}
