package console_test

import (
	"maps"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/console"
	"wxrefund/shared/console/consoletest"
)

func shared(t *testing.T) map[string]string {
	t.Helper()
	return consoletest.Assets(t, console.Files())
}

func TestWhatPagesShareLoadsNothingFromElsewhere(t *testing.T) {
	consoletest.LoadsNothingFromElsewhere(t, shared(t), "")
}

func TestBothLanguagesSayTheSame(t *testing.T) {
	en, zh := consoletest.Words(t, shared(t), "common.en.json"), consoletest.Words(t, shared(t), "common.zh.json")
	consoletest.BothLanguagesSayTheSame(t, en, zh)
	consoletest.ReadsInOneWay(t, en, zh)
}

// Text can be read on what it stands on, in either scheme: 4.5 to 1 for text and 3
// to 1 for the edges of controls (WCAG 2.2, 1.4.3 and 1.4.11).
func TestTextStandsOutFromItsGround(t *testing.T) {
	light, dark := colours(t)
	pairs := []struct {
		front, back string
		least       float64
	}{
		{"text", "ground", 4.5}, {"text", "surface", 4.5}, {"text", "sunken", 4.5}, {"text", "good-soft", 4.5},
		{"muted", "ground", 4.5}, {"muted", "surface", 4.5}, {"muted", "sunken", 4.5},
		{"accent", "ground", 4.5}, {"accent", "surface", 4.5}, {"on-accent", "accent", 4.5}, {"on-accent", "accent-strong", 4.5},
		{"good", "good-soft", 4.5}, {"good", "surface", 4.5}, {"busy", "busy-soft", 4.5}, {"warn", "warn-soft", 4.5}, {"warn", "surface", 4.5},
		{"bad", "bad-soft", 4.5}, {"bad", "surface", 4.5}, {"still", "still-soft", 4.5}, {"surface", "text", 4.5},
		{"edge", "surface", 3}, {"accent", "sunken", 3}, {"busy", "surface", 3}, {"surface", "edge", 3},
	}
	for scheme, colour := range map[string]map[string][3]float64{"light": light, "dark": dark} {
		for _, p := range pairs {
			front, ok := colour[p.front]
			back, also := colour[p.back]
			if !ok || !also {
				t.Fatalf("%s: no colour %s or %s", scheme, p.front, p.back)
			}
			if got := contrast(front, back); got < p.least {
				t.Errorf("%s: %s on %s has %.2f, want %.1f", scheme, p.front, p.back, got, p.least)
			}
		}
	}
}

// colours reads the variables of the style sheet, as they are in either scheme.
func colours(t *testing.T) (light, dark map[string][3]float64) {
	t.Helper()
	variable := regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`)
	before, after, ok := strings.Cut(shared(t)["style.css"], "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark scheme")
	}
	light = map[string][3]float64{}
	for _, m := range variable.FindAllStringSubmatch(before, -1) {
		light[m[1]] = rgb(t, m[2])
	}
	dark = maps.Clone(light)
	for _, m := range variable.FindAllStringSubmatch(after, -1) {
		dark[m[1]] = rgb(t, m[2])
	}
	if len(light) < 15 || cmp.Equal(light, dark) {
		t.Fatalf("%d colours, and in the dark the same", len(light))
	}
	return light, dark
}

func rgb(t *testing.T, hex string) (out [3]float64) {
	t.Helper()
	for i := range out {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = float64(n) / 255
	}
	return out
}

// contrast is WCAG's ratio of relative luminances.
func contrast(a, b [3]float64) float64 {
	luminance := func(c [3]float64) (sum float64) {
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			linear := c[i] / 12.92
			if c[i] > 0.04045 {
				linear = math.Pow((c[i]+0.055)/1.055, 2.4)
			}
			sum += weight * linear
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// The ratio itself is right: black on white is 21, and a grey that WCAG's own
// documents name as just enough is.
func TestTheContrastRatioIsWCAGs(t *testing.T) {
	for _, tt := range []struct {
		front, back string
		want        float64
	}{{"000000", "ffffff", 21}, {"767676", "ffffff", 4.54}, {"ffffff", "ffffff", 1}} {
		if got := contrast(rgb(t, tt.front), rgb(t, tt.back)); math.Abs(got-tt.want) > 0.005 {
			t.Errorf("%s on %s: got %.3f, want %.2f", tt.front, tt.back, got, tt.want)
		}
	}
}
