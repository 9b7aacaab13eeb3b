package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/console"
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

// from says from when on something can be done.
func (p *program) from(t time.Time) string {
	if t.After(p.clock()) {
		return "from " + p.at(t) + " on"
	}
	return "now"
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
	return strings.TrimSpace(console.Decimal(minor, currency) + " " + currency)
}

// A fen is an amount that a flag takes. Package flag's own integers are in eight where they
// begin with 0, so that -amount 0100 would be sixty-four.
type fen int64

func (f *fen) String() string { return strconv.FormatInt(int64(*f), 10) }

func (f *fen) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return errors.New("must be a whole number of fen: 123 is 1.23")
	}
	*f = fen(n)
	return nil
}

// An operatorName is a name that a flag takes: who gives none does not mean the login's, as
// where a variable of a script is empty.
type operatorName string

func (n *operatorName) String() string { return string(*n) }

func (n *operatorName) Set(text string) error {
	if text == "" {
		return errors.New("must be your name")
	}
	*n = operatorName(text)
	return nil
}

// A count is a number of things that a flag takes, in ten as a [fen] is.
type count int

func (c *count) String() string { return strconv.Itoa(int(*c)) }

func (c *count) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return errors.New("must be a whole number, at least 0")
	}
	*c = count(n)
	return nil
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// moment reads a time as people write it, with the name of the flag that it was given to;
// "" is none.
func (p *program) moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 100*366 {
			return p.clock().AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return p.clock().Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.DateTime} {
		if t, err := time.ParseInLocation(layout, text, p.zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%s is %q: it must be a date such as 2026-11-26, with a time if you like (2026-11-26T15:04), RFC 3339, or an age such as 90m, 24h or 7d", flag, text)
}

// clock is the time now.
func (p *program) clock() time.Time {
	if p.now != nil {
		return p.now()
	}
	return time.Now()
}

// counted is a number of things, in words that agree with it.
func counted[N int | int64](n N, one, more string) string {
	if n == 1 {
		more = one
	}
	return fmt.Sprintf("%d %s", n, more)
}
