package refund

import "testing"

func TestTokensFallDueAGapApartAndABurstAtOnce(t *testing.T) {
	const gap, burst = 10, 3
	var b tokenBucket
	for _, c := range []struct{ now, n, want int64 }{
		{1000, 1, 970}, {1000, 1, 980}, {1000, 1, 990}, {1000, 1, 1000}, // a burst beside the one that is due
		{1000, 2, 1010}, {1000, 1, 1030}, // of two, the second falls due a gap later
		{1005, 1, 1040}, // time that passes meanwhile changes nothing
		{2000, 1, 1970}, // and after a pause, a burst again, and no more
	} {
		if got := b.take(c.now, gap, burst, c.n); got != c.want {
			t.Errorf("at %d, %d tokens: the first is due at %d, want %d", c.now, c.n, got, c.want)
		}
	}
}
