package ledger

import (
	"bytes"
	"fmt"
	"testing"

	"wxrefund/shared/refund"
)

// overAllB runs a benchmark over every backend. The bodies are as large as a
// refund and an account with some history.
func overAllB(b *testing.B, bench func(b *testing.B, s *Store, body []byte)) {
	for _, backend := range backends() {
		b.Run(backend.name, func(b *testing.B) {
			b.ReportAllocs()
			bench(b, open(b, backend.fresh(b)), bytes.Repeat([]byte("0123456789abcdef"), 64))
		})
	}
}

// A claim: one item is new, one is changed.
func BenchmarkCommitTwo(b *testing.B) {
	overAllB(b, func(b *testing.B, s *Store, body []byte) {
		for version := int64(0); b.Loop(); version++ {
			commit(b, s,
				refund.Item{Key: refund.Key(fmt.Sprint("refund/", version)), Body: body, Due: at(int(version))},
				refund.Item{Key: "account", Version: version, Body: body})
		}
	})
}

func BenchmarkGet(b *testing.B) {
	overAllB(b, func(b *testing.B, s *Store, body []byte) {
		commit(b, s, refund.Item{Key: "refund", Body: body})
		for b.Loop() {
			get(b, s, "refund")
		}
	})
}

func BenchmarkGetTwo(b *testing.B) {
	overAllB(b, func(b *testing.B, s *Store, body []byte) {
		commit(b, s, refund.Item{Key: "refund", Body: body}, refund.Item{Key: "account", Body: body})
		for b.Loop() {
			get(b, s, "refund", "account")
		}
	})
}
