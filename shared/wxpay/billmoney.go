package wxpay

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A decimal is a number of a bill in hundred-thousandths: five digits behind the point are
// as many as a bill has, for fees.
type decimal int64

const (
	one     = 100_000
	tooMuch = decimal(math.MinInt64) // no number
)

// plus adds; a sum that does not fit is tooMuch, and so is every later one.
func (d decimal) plus(e decimal) decimal {
	sum := d + e
	if d == tooMuch || e == tooMuch || (e > 0 && sum < d) || (e < 0 && sum > d) {
		return tooMuch
	}
	return sum
}

// String writes the number without the zeros at its end.
func (d decimal) String() string {
	sign, n := "", uint64(d) // #nosec G115 -- of one below zero it is taken back below
	if d < 0 {
		sign, n = "-", -n
	}
	s := sign + strconv.FormatUint(n/one, 10)
	if part := n % one; part > 0 {
		s += "." + strings.TrimRight(strconv.FormatUint(one+part, 10)[1:], "0")
	}
	return s
}

// minor is the number in the currency's minor units; not ok if it has a part of one.
func (d decimal) minor(currency string) (n int64, ok bool) {
	unit := decimal(one)
	for range minorDigits(currency) {
		unit /= 10
	}
	return int64(d / unit), d%unit == 0
}

// parseDecimal reads a number as bills have it: digits, perhaps a point and up to five
// digits more, perhaps a minus before. No float is made of it: 0.29 is none.
func parseDecimal(text []byte) (d decimal, ok bool) {
	digits, negative := text, len(text) > 0 && text[0] == '-'
	if negative {
		digits = text[1:]
	}
	point, places := false, 0
	for i, c := range digits {
		switch {
		case c == '.' && !point && i > 0 && i < len(digits)-1:
			point = true
			continue
		case c < '0' || c > '9' || d > math.MaxInt64/10-1:
			return 0, false
		}
		d = d*10 + decimal(c-'0')
		if point {
			places++
		}
	}
	if len(digits) == 0 || places > 5 {
		return 0, false
	}
	for ; places < 5; places++ {
		if d > math.MaxInt64/10 {
			return 0, false
		}
		d *= 10
	}
	if negative {
		d = -d
	}
	return d, true
}

// minorDigits is how many digits a currency has behind the point (ISO 4217).
func minorDigits(currency string) int {
	switch {
	case slices.Contains([]string{"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}, currency):
		return 0
	case slices.Contains([]string{"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}, currency):
		return 3
	}
	return 2
}

// isCurrency reports whether a text has the form of a currency's code.
func isCurrency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// money is an amount in minor units; absent is not ok.
func (b *Bill) money(heading, currency string) (int64, error) {
	d, ok := parseDecimal(b.values[b.at[heading]])
	if !ok || d < 0 {
		return 0, b.fault(heading, "is no amount")
	}
	n, ok := d.minor(currency)
	if !ok {
		return 0, b.fault(heading, "is no amount of "+currency+": it has more digits behind the point")
	}
	return n, nil
}

// time is one of Beijing's, as all are in bills; zero if there is no such column, or
// nothing in it.
func (b *Bill) time(heading string) (time.Time, error) {
	i, ok := b.at[heading]
	if !ok || len(b.values[i]) == 0 {
		return time.Time{}, nil
	}
	at, err := time.ParseInLocation(time.DateTime, string(b.values[i]), beijing())
	if err != nil || at.Year() < 2000 {
		return time.Time{}, b.fault(heading, "is no time written 2006-01-02 15:04:05")
	}
	return at.UTC(), nil
}
