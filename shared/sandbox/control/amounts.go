package control

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// digits are how many decimals the currencies have that do not have two (ISO 4217).
var digits = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "VND": 0,
	"VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// maxDigits is the most that any has.
const maxDigits = 3

func digitsOf(currency string) int {
	if n, ok := digits[currency]; ok {
		return n
	}
	return 2
}

// decimal writes an amount in the minor unit as people do: 60 fen are 0.60.
func decimal(minor int64, currency string) string {
	n := digitsOf(currency)
	text := fmt.Sprintf("%0*d", n+1, magnitude(minor))
	if minor < 0 {
		text = "-" + text
	}
	if n == 0 {
		return text
	}
	cut := len(text) - n
	return text[:cut] + "." + text[cut:]
}

// An amount is one as people write it, whatever the currency: 0.60, ¥0.60, 60. It is in
// the minor unit for each number of decimals; -1 where it has more than those.
type amount [maxDigits + 1]int64

var formAmount = regexp.MustCompile(`^(?:[A-Z]{0,3}[\p{Sc}\p{Z}]\p{Z}*)?([0-9][0-9,]{0,15})(?:\.([0-9]{1,3}))?$`)

// parseAmount reads one; ok is false if it is not one.
func parseAmount(text string) (a amount, ok bool) {
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

// is tells whether that much in a currency's minor unit is the amount.
func (a amount) is(minor int64, currency string) bool { return a[digitsOf(currency)] == minor }
