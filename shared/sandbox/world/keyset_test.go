package world_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// signedByPublicKey settles so many refunds and returns which of their notifications the
// public key signs, in their order. before is done before each request.
func signedByPublicKey(w *sandboxtest.World, prefix string, n int, before func()) (public []bool) {
	w.T.Helper()
	already := len(w.Receiver.Received())
	for i := range n {
		if i%50 == 0 {
			w.Order(fmt.Sprint(prefix, i))
			time.Sleep(time.Second) // there is a limit of requests in a second
		}
		before()
		no := fmt.Sprintf("%sR%d", prefix, i)
		w.Refund(fmt.Sprint(prefix, i/50*50), no, 1)
		before()
		w.Control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`, 200)
	}
	for _, p := range w.Receiver.Received()[already:] {
		serial := p.Header.Get("Wechatpay-Serial")
		if err := w.Verify(p.Header, p.Body, serial); err != nil {
			w.T.Error(err)
		}
		public = append(public, strings.HasPrefix(serial, "PUB_KEY_ID_"))
	}
	return public
}

func count(public []bool) (n int) {
	for _, p := range public {
		if p {
			n++
		}
	}
	return n
}

// A switch takes seven days of virtual time, and ends with the public key alone.
func TestASwitchFollowsWeChatPaysSevenDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		began := w.Sandbox.Now()
		for day, percent := range []float64{0.1, 1, 5, 10, 20, 50, 100, 100} {
			share := func(when string) {
				t.Helper()
				if got := w.Control("GET", "/_sandbox/keys/share", "", 200).Field("percent"); got != percent {
					t.Errorf("%s of day %d: %v %%, want %v", when, day+1, got, percent)
				}
			}
			share("at the beginning")
			public := signedByPublicKey(w, fmt.Sprintf("D%d", day), 8, func() {})
			if got := count(public); percent == 100 && got != len(public) || percent < 1 && got > 0 {
				t.Errorf("day %d: %d of %d at %v %%", day+1, got, len(public), percent)
			}
			ends := began.Add(time.Duration(day+1) * 24 * time.Hour)
			w.Advance((ends.Sub(w.Sandbox.Now()) - time.Second).String())
			share("at the end")
			w.Advance("1s")
		}
	})
}

// Which key signs a notification is a matter of the seed and the share, and no other
// client's request changes it.
func TestWhatOneClientNamesDoesNotSignAnothersNotifications(t *testing.T) {
	run := func(seed int64, share string, stranger func(*sandboxtest.World)) (public []bool) {
		synctest.Test(t, func(t *testing.T) {
			w := sandboxtest.New(t, func(c *sandbox.Config) { c.Seed = seed })
			w.Control("POST", "/_sandbox/keys/share", `{"percent":`+share+`}`, 200)
			public = signedByPublicKey(w, "T", 20, func() { stranger(w) })
		})
		return public
	}
	ask := func(serial func(*sandboxtest.World) string) func(*sandboxtest.World) {
		return func(w *sandboxtest.World) {
			own := w.Serial
			w.Serial = serial(w)
			w.Call("GET", sandboxtest.RefundsPath+"/R0", "")
			w.Serial = own
		}
	}
	alone := run(1, "50", func(*sandboxtest.World) {})
	if n := count(alone); n < 4 || n > 16 {
		t.Errorf("%d of 20 at 50 %%", n)
	}
	for name, stranger := range map[string]func(*sandboxtest.World){
		"the certificate": ask(func(w *sandboxtest.World) string {
			return w.Control("GET", "/_sandbox/credentials", "", 200).Field("platform_serial").(string)
		}),
		"the public key": ask(func(w *sandboxtest.World) string { return w.Settings["WXPAY_PUBLIC_KEY_ID"] }),
		"nothing":        ask(func(*sandboxtest.World) string { return "" }),
	} {
		if diff := cmp.Diff(alone, run(1, "50", stranger)); diff != "" {
			t.Errorf("beside a client that names %s (-alone +got):\n%s", name, diff)
		}
	}
	if slices.Equal(alone, run(2, "50", func(*sandboxtest.World) {})) {
		t.Error("another seed signs alike")
	}
	// A share that grows takes none back.
	for i, more := range run(1, "80", func(*sandboxtest.World) {}) {
		if alone[i] && !more {
			t.Errorf("notification %d is signed by the public key at 50 %% and not at 80 %%", i)
		}
	}
	if n := count(run(1, "0", func(*sandboxtest.World) {})); n != 0 {
		t.Errorf("%d of 20 at 0 %%", n)
	}
}

// The merchant's side learns of new keys before anything is signed with them.
func TestNothingIsSignedWithAKeyBeforeItIsAnnounced(t *testing.T) {
	for _, merchant := range []string{"certificate", "switching", "public-key"} {
		synctest.Test(t, func(t *testing.T) {
			var w *sandboxtest.World
			told := 0
			w = sandboxtest.New(t, func(c *sandbox.Config) {
				c.Merchant = merchant
				c.KeysRotated = func() {
					told++
					w.Control("POST", "/_sandbox/clock", `{"advance":"170h"}`, 200) // the old keys' end does not change that
					now := w.Control("GET", "/_sandbox/credentials", "", 200)
					settings := w.SettingsOf("apiv3")
					if id, _ := now.Field("public_key_id").(string); !strings.HasPrefix(settings["WXPAY_PUBLIC_KEY_ID"], id) {
						t.Errorf("%s: settings have %q, want %q first", merchant, settings["WXPAY_PUBLIC_KEY_ID"], id)
					}
					for _, name := range []string{"platform_serial", "public_key_id"} {
						w.Serial, _ = now.Field(name).(string)
						for range 10 {
							if got := w.Call("GET", sandboxtest.RefundsPath+"/R1", "").Header.Get("Wechatpay-Serial"); got == "" || got == now.Field("platform_serial") || got == now.Field("public_key_id") {
								t.Errorf("%s: signed with %q before it was announced", merchant, got)
							}
						}
					}
				}
			})
			w.Control("POST", "/_sandbox/keys/rotate", "", 200)
			if told != 1 {
				t.Errorf("%s: told %d times, want once", merchant, told)
			}
			now := w.Control("GET", "/_sandbox/credentials", "", 200)
			for _, name := range []string{"platform_serial", "public_key_id"} {
				serial, _ := now.Field(name).(string)
				if w.Serial = serial; serial == "" {
					continue
				}
				w.VerifyReply(w.Call("GET", sandboxtest.RefundsPath+"/R1", ""), serial)
			}
		})
	}
}
