package console

import "testing"

// maxFen is more than WeChat Pay takes for an order.
const maxFen = 1_000_000_000_000

// FuzzAmounts writes any amount and finds it again, in every currency; and whatever reads as
// an amount is one that can be written.
func FuzzAmounts(f *testing.F) {
	for minor, currency := range map[int64]string{0: "CNY", 60: "CNY", 123450: "USD", 500: "JPY", 1005: "KWD"} {
		f.Add(minor, currency, Decimal(minor, currency))
	}
	f.Fuzz(func(t *testing.T, minor int64, currency, text string) {
		if minor >= 0 && minor <= maxFen {
			written := Decimal(minor, currency)
			for _, how := range []string{written, "¥" + written, code + written, " " + written + " "} {
				if a, ok := ParseAmount(how); !ok || !a.Is(minor, currency) || a.Is(minor+1, currency) {
					t.Errorf("%d %s is written %q, and read as %v, %t", minor, currency, how, a, ok)
				}
			}
		}
		if a, ok := ParseAmount(text); ok && a[maxDigits] >= 0 {
			if again, ok := ParseAmount(Decimal(a[maxDigits], "KWD")); !ok || again != a {
				t.Errorf("%q is read as %v, and that as %v", text, a, again)
			}
		}
	})
}

// code stands before an amount as in the console.
const code = "USD\u00a0"
