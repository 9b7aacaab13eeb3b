package main

import (
	"fmt"
	"strings"
	"time"
)

// How the program writes times, amounts and numbers for people.

// at writes a moment in the person's own zone.
func (p *program) at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(p.zone).Format("2006-01-02 15:04:05 -0700")
}

// ago writes a moment, and how long ago it was.
func (p *program) ago(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s (%s ago)", p.at(t), age(now.Sub(t)))
}

// age writes a duration by its two greatest units.
func age(d time.Duration) string {
	sign := ""
	if d < 0 {
		d, sign = -d, "-"
	}
	const day = 24 * time.Hour
	for _, u := range []struct {
		unit, small time.Duration
		name, less  string
	}{{day, time.Hour, "d", "h"}, {time.Hour, time.Minute, "h", "m"}, {time.Minute, time.Second, "m", "s"}} {
		if d >= u.unit {
			text := fmt.Sprintf("%s%d%s", sign, d/u.unit, u.name)
			if rest := d % u.unit / u.small; rest > 0 {
				text += fmt.Sprintf("%d%s", rest, u.less)
			}
			return text
		}
	}
	return fmt.Sprintf("%s%ds", sign, d/time.Second)
}

// money writes an amount in the currency's minor unit as people do; what is not said is nothing.
func money(minor int64, currency string) string {
	return strings.TrimSpace(decimal(minor, currency) + " " + currency)
}

// decimal writes an amount in the minor unit as people do: 60 fen are 0.60.
func decimal(minor int64, currency string) string {
	digits := 2 // of most currencies (ISO 4217)
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF":
		digits = 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		digits = 3
	}
	text, sign := fmt.Sprintf("%0*d", digits+1, max(minor, -minor)), ""
	if minor < 0 {
		sign = "-"
	}
	if digits == 0 {
		return sign + text
	}
	return sign + text[:len(text)-digits] + "." + text[len(text)-digits:]
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
