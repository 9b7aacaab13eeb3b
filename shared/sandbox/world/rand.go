package world

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// A seededRand is all the chance there is, keys and nonces apart. What is drawn depends
// on the seed and on what it is drawn for, not on how much was drawn before: so
// requests that race each other do not change one another's fate, and a run can
// be had again.
type seededRand int64

func (r seededRand) draw(purpose string, about ...any) *rand.Rand {
	sum := sha256.Sum256(fmt.Appendln(nil, append([]any{int64(r), purpose}, about...)...))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])))
}

// seconds draws a whole number of seconds from least to most.
func (r seededRand) seconds(least, most time.Duration, purpose string, about ...any) time.Duration {
	return least + time.Duration(r.draw(purpose, about...).Int64N(int64((most-least)/time.Second)+1))*time.Second
}

// digits draws a number of n decimal digits.
func (r seededRand) digits(n int, purpose string, about ...any) string {
	return r.text(n, "0123456789", purpose, about...)
}

// text draws n characters of an alphabet.
func (r seededRand) text(n int, alphabet, purpose string, about ...any) string {
	from := r.draw(purpose, about...)
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[from.IntN(len(alphabet))]
	}
	return string(b)
}

// uuid draws the number of a notification, in the form that WeChat Pay's have.
func (r seededRand) uuid(purpose string, about ...any) string {
	from := r.draw(purpose, about...)
	hi, lo := from.Uint64()&^0xf000|0x4000, from.Uint64()&^(3<<62)|1<<63
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffffffffffff)
}
