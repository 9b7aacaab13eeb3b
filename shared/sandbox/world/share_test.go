package world

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// Of many notifications the public key signs as many as WeChat Pay's share of the day says.
func TestAsManyNotificationsAsTheShareSaysAreSignedByThePublicKey(t *testing.T) {
	const n = 20_000
	began := time.Date(2026, 11, 26, 8, 0, 0, 0, China)
	keys := keySet{
		change:       keyChange{merchant: MerchantSwitching, began: began},
		certificates: []PlatformKey{{Serial: "certificate"}}, publics: []PlatformKey{{Serial: "public"}},
	}
	for day, percent := range []float64{0.1, 1, 5, 10, 20, 50, 100, 100} {
		got := 0
		for i := range n {
			id := fmt.Sprint(day, "-", i)
			now := began.Add(time.Duration(day)*24*time.Hour + time.Duration(i)*time.Second) // within the day
			key := keys.notification(id, 1, now, seededRand(1))
			if again := keys.notification(id, 2, now, seededRand(1)); again.Serial != key.Serial {
				t.Fatalf("%s is signed by the %s and its repeat by the %s", id, key.Serial, again.Serial)
			}
			if key.Serial == "public" {
				got++
			}
		}
		mean, p := n*percent/100, percent/100
		if most := 4 * math.Sqrt(n*p*(1-p)); math.Abs(float64(got)-mean) > most {
			t.Errorf("day %d: %d of %d, want %v give or take %.0f", day+1, got, n, mean, most)
		}
	}
}
