package console

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxDigits is the most that any has.
const maxDigits = 3

// digitsOf is how many decimals a currency has (ISO 4217).
func digitsOf(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}

// Decimal writes an amount in the minor unit as people do: 60 fen are 0.60.
func Decimal(minor int64, currency string) string {
	n := digitsOf(currency)
	text := fmt.Sprintf("%0*d", n+1, max(minor, -minor))
	if minor < 0 {
		text = "-" + text
	}
	if n == 0 {
		return text
	}
	cut := len(text) - n
	return text[:cut] + "." + text[cut:]
}

// An Amount is one as people write it, whatever the currency: 0.60, ¥0.60, 60. It is in
// the minor unit for each number of decimals; -1 where it has more than those.
type Amount [maxDigits + 1]int64

var formAmount = regexp.MustCompile(`^(?:[A-Z]{0,3}[\p{Sc}\p{Z}]\p{Z}*)?([0-9][0-9,]{0,15})(?:\.([0-9]{1,3}))?$`)

// ParseAmount reads one; ok is false if it is not one.
func ParseAmount(text string) (a Amount, ok bool) {
	parts := formAmount.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return a, false
	}
	whole, rest := strings.ReplaceAll(parts[1], ",", ""), strings.TrimRight(parts[2], "0")
	for n := range a {
		a[n] = -1
		if len(rest) > n {
			continue
		}
		// Sixteen digits and three decimals may not fit; no amount here is that large.
		if minor, err := strconv.ParseInt(whole+rest+strings.Repeat("0", n-len(rest)), 10, 64); err == nil {
			a[n] = minor
		}
	}
	return a, true
}

// Is tells whether that much in a currency's minor unit is the amount.
func (a Amount) Is(minor int64, currency string) bool { return a[digitsOf(currency)] == minor }
