package config_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/config"
	"wxrefund/shared/refund"
)

// asks tells whether a channel can be asked about orders: what rests on that is an error
// where it cannot.
func asks(t *testing.T, channel string) bool {
	t.Helper()
	s, err := sandboxSettings(t, channel)
	if err != nil {
		t.Fatal(err)
	}
	s["LEDGER_URL"] = "sqlite::memory:"
	sys, err := load(t, s)
	if err != nil {
		t.Fatal(err)
	}
	return len(sys.Refunds.Channel.Spec().OrderLookups) > 0
}

// Without a setting an order is asked for before its first refund, buyers may do nothing,
// and nobody needs a second person.
func TestOrdersAreAskedForAndBuyersMayDoNothingByDefault(t *testing.T) {
	sys, err := load(t, complete())
	if err != nil {
		t.Fatal(err)
	}
	if got := sys.Refunds; got.VerifyOrder != refund.VerifyFirst || got.Self.Mode != refund.SelfOff || got.Policy.ApprovalFen != 0 {
		t.Errorf("got %v, %+v, %+v", got.VerifyOrder, got.Self, got.Policy)
	}
}

func TestWhatBuyersMayDoIsRead(t *testing.T) {
	for _, c := range []struct {
		set    map[string]string
		self   refund.SelfService
		verify refund.VerifyOrder
		fen    int64
	}{
		{map[string]string{"REFUND_SELF": "propose"}, refund.SelfService{Mode: refund.SelfPropose, Within: 168 * time.Hour, Daily: 5}, refund.VerifyFirst, 0},
		{map[string]string{"REFUND_SELF": "auto", "REFUND_SELF_FEN": "5000"},
			refund.SelfService{Mode: refund.SelfAuto, MaxFen: 5000, Within: 168 * time.Hour, Daily: 5}, refund.VerifyFirst, 0},
		{map[string]string{"REFUND_SELF": "auto", "REFUND_SELF_FEN": "1", "REFUND_SELF_HOURS": "1", "REFUND_SELF_DAILY": "1", "REFUND_VERIFY_ORDER": "always", "REFUND_APPROVAL_FEN": "7"},
			refund.SelfService{Mode: refund.SelfAuto, MaxFen: 1, Within: time.Hour, Daily: 1}, refund.VerifyAlways, 7},
		{map[string]string{"REFUND_SELF": "off", "REFUND_SELF_FEN": "5000", "REFUND_SELF_HOURS": "8760", "REFUND_SELF_DAILY": "50", "REFUND_VERIFY_ORDER": "off"}, // switched off with all else left
			refund.SelfService{MaxFen: 5000, Within: 8760 * time.Hour, Daily: 50}, refund.VerifyNever, 0},
	} {
		s := complete()
		maps.Copy(s, c.set)
		sys, err := load(t, s)
		if err != nil {
			t.Errorf("%v: %v", c.set, err)
			continue
		}
		if d := cmp.Diff(c.self, sys.Refunds.Self); d != "" {
			t.Errorf("%v (-want +got):\n%s", c.set, d)
		}
		if sys.Refunds.VerifyOrder != c.verify || sys.Refunds.Policy.ApprovalFen != c.fen {
			t.Errorf("%v: order %v, approval %d", c.set, sys.Refunds.VerifyOrder, sys.Refunds.Policy.ApprovalFen)
		}
	}
}

// Each wrong value is one mistake, which names its setting and what it must be.
func TestEachMistakeAboutOrdersAndBuyersIsNamedOnce(t *testing.T) {
	const count = " must be a whole number from 1 to "
	for set, want := range map[string]string{
		"REFUND_VERIFY_ORDER=never":                                  "REFUND_VERIFY_ORDER must be one of first, always, off",
		"REFUND_VERIFY_ORDER=true":                                   "REFUND_VERIFY_ORDER must be one of first, always, off",
		"REFUND_VERIFY_ORDER=undefined":                              "REFUND_VERIFY_ORDER is the word undefined: ",
		"REFUND_SELF=on":                                             "REFUND_SELF must be one of off, propose, auto",
		"REFUND_SELF=auto:5000,24":                                   "REFUND_SELF must be one of off, propose, auto",
		"REFUND_SELF=on REFUND_VERIFY_ORDER=off":                     "REFUND_SELF must be one of off, propose, auto",
		"REFUND_SELF=propose REFUND_VERIFY_ORDER=off":                "REFUND_VERIFY_ORDER is off beside REFUND_SELF=propose: only the order, asked for, says who has paid it",
		"REFUND_SELF=auto REFUND_SELF_FEN=1 REFUND_VERIFY_ORDER=off": "REFUND_VERIFY_ORDER is off beside REFUND_SELF=auto: only the order, asked for, says who has paid it",
		"REFUND_SELF_FEN=0":                                          "REFUND_SELF_FEN must be a whole number of fen, at least 1",
		"REFUND_SELF_FEN=50.00":                                      "REFUND_SELF_FEN must be a whole number of fen, at least 1",
		"REFUND_SELF_HOURS=0":                                        "REFUND_SELF_HOURS" + count + "8760",
		"REFUND_SELF_HOURS=24h":                                      "REFUND_SELF_HOURS" + count + "8760",
		"REFUND_SELF_HOURS=8761":                                     "REFUND_SELF_HOURS" + count + "8760",
		"REFUND_SELF_DAILY=-1":                                       "REFUND_SELF_DAILY" + count + "50",
		"REFUND_SELF_DAILY=51":                                       "REFUND_SELF_DAILY" + count + "50",
		"REFUND_APPROVAL_FEN=0":                                      "REFUND_APPROVAL_FEN must be a whole number of fen, at least 1",
		"REFUND_APPROVAL_FEN=1e5":                                    "REFUND_APPROVAL_FEN must be a whole number of fen, at least 1",
		"REFUND_APPROVAL=20000":                                      "REFUND_APPROVAL is not a setting: did you mean REFUND_APPROVAL_FEN?",
		"REFUND_VERIFY_ORDERS=off":                                   "REFUND_VERIFY_ORDERS is not a setting: did you mean REFUND_VERIFY_ORDER?",
		"REFUND_SELF_HOUR=5":                                         "REFUND_SELF_HOUR is not a setting: did you mean REFUND_SELF_HOURS?",
	} {
		s := complete()
		for pair := range strings.FieldsSeq(set) {
			name, value, _ := strings.Cut(pair, "=")
			s[name] = value
		}
		if err := config.Check(t.Context(), s); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %s alone", set, err, want)
		}
	}
}

// An automatic refund needs a bound of money; the others have safe ones.
func TestAutomaticRefundsNeedABound(t *testing.T) {
	s := complete()
	s["REFUND_SELF"] = "auto"
	const want = "REFUND_SELF_FEN is missing beside REFUND_SELF=auto: what one order may get without a decision"
	if err := config.Check(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// What rests on the order is refused by name where no order can be asked for.
func TestChannelsThatCannotTellAnOrderAreNamed(t *testing.T) {
	for _, channel := range config.Channels() {
		can := asks(t, channel)
		for set, want := range map[string]string{
			"REFUND_SELF=propose":        fmt.Sprintf("REFUND_SELF must be off with the channel %s, which cannot tell who has paid an order", channel),
			"REFUND_VERIFY_ORDER=always": fmt.Sprintf("REFUND_VERIFY_ORDER must not be always with the channel %s, which cannot be asked about an order", channel),
			"REFUND_VERIFY_ORDER=first":  "",
		} {
			s, err := sandboxSettings(t, channel)
			if err != nil {
				t.Fatal(err)
			}
			s["LEDGER_URL"] = "sqlite::memory:"
			name, value, _ := strings.Cut(set, "=")
			s[name] = value
			_, err = load(t, s)
			if can || want == "" {
				want = ""
			}
			if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
				t.Errorf("%s, %s: got %v, want %q", channel, set, err, want)
			}
		}
	}
}

// All of them are settings of every channel, and no secrets.
func TestSettingsOfOrdersAndBuyersAreEveryChannels(t *testing.T) {
	names := []string{"REFUND_APPROVAL_FEN", "REFUND_VERIFY_ORDER", "REFUND_SELF", "REFUND_SELF_FEN", "REFUND_SELF_HOURS", "REFUND_SELF_DAILY"}
	for _, s := range config.Settings() {
		if i := slices.Index(names, s.Name); i >= 0 {
			names = slices.Delete(names, i, i+1)
			if s.Required != "" || len(strings.Fields(s.Optional)) != len(config.Channels()) || s.Secret {
				t.Errorf("%+v", s)
			}
		}
	}
	if len(names) > 0 {
		t.Errorf("not in the list: %v", names)
	}
}
