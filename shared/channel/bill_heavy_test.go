//go:build heavy

package channel_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
)

// A bill of a million refunds, packed, is kept, checked and gone through again in little
// memory.
func TestABillOfAMillionRefundsNeedsLittleMemory(t *testing.T) {
	const n = 1_000_000
	r, w := io.Pipe()
	go func() {
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "\ufeff"+billHead+"\r\n")
		before, after, _ := strings.Cut(billRow("1900000109", "0", "NUMBER", "SUCCESS"), "O-NUMBER")
		for i := range n {
			no := fmt.Sprint("R", i)
			fmt.Fprint(z, before, "O-", no, strings.ReplaceAll(after, "NUMBER", no), "\r\n")
		}
		fmt.Fprintf(z, "%s\r\n`%d,`0.00,`%d.00,`0.00,`0.00000,`0.00,`%d.00\r\n", billSums, n, n*28/100, n*29/100)
		_ = z.Close()
		_ = w.Close()
	}()
	var m runtime.MemStats
	var peak uint64
	measure := func() { runtime.ReadMemStats(&m); peak = max(peak, m.HeapInuse) }
	before := time.Now()
	b, err := channel.BillFile(r, trade, refund.Merchant{MchID: "1900000109"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	measure()
	read := time.Since(before)
	rows := 0
	for row, err := range b.Refunds {
		if err != nil || row.Amount != 29 {
			t.Fatalf("%+v, error %v", row, err)
		}
		if rows++; rows%50_000 == 0 {
			measure()
		}
	}
	t.Logf("%d rows: kept and checked in %s, gone through again in %s, with %d MB of memory", rows, read.Round(time.Millisecond), (time.Since(before) - read).Round(time.Millisecond), peak>>20)
	if rows != n || b.Rows != n || peak > 64<<20 {
		t.Errorf("%d rows, %d bytes of memory", rows, peak)
	}
}
