package wxpay

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A source stands for the list of certificates at WeChat Pay. In these tests, in
// synctest bubbles, downloads take as long as it says.
type source struct {
	certs     []Certificate
	err       error
	takes     time.Duration
	downloads atomic.Int64
}

func (s *source) download(ctx context.Context) ([]Certificate, error) {
	s.downloads.Add(1)
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.certs, s.err
}

func (s *source) want(t *testing.T, n int64) {
	t.Helper()
	if got := s.downloads.Load(); got != n {
		t.Errorf("%d downloads, want %d", got, n)
	}
}

func newCertificate(serial string, key *rsa.PrivateKey) Certificate {
	return Certificate{SerialNo: serial, Key: &key.PublicKey, NotBefore: date(1999), NotAfter: date(2030)}
}

// both are the certificates of most tests. Making them makes the keys, outside
// of any bubble.
func both() []Certificate {
	return []Certificate{newCertificate(serial1, platformKey()), newCertificate(serial2, nextKey())}
}

// mustKey asks for a key that must be had.
func mustKey(t *testing.T, k *Keyring, serial string) {
	t.Helper()
	key, err := k.Key(t.Context(), serial)
	if err != nil || key == nil {
		t.Errorf("%s: key of %s: error %v", time.Now().Format(time.TimeOnly), serial, err)
	}
}

// mustBeUnknown asks for a key that there is none of.
func mustBeUnknown(t *testing.T, k *Keyring, serial string) {
	t.Helper()
	if _, err := k.Key(t.Context(), serial); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("%s: key of %s: error %v, want %v", time.Now().Format(time.TimeOnly), serial, err, ErrUnknownKey)
	}
}

// mustNotTell asks for a key of which it cannot be found out whether there is one.
func mustNotTell(ctx context.Context, t *testing.T, k *Keyring, serial string) {
	t.Helper()
	if _, err := k.Key(ctx, serial); !couldNotTell(err) {
		t.Errorf("%s: key of %s: error %v, want one that says that we could not find out", time.Now().Format(time.TimeOnly), serial, err)
	}
}

// couldNotTell reports whether err says neither that the key is unknown nor
// anything about the message.
func couldNotTell(err error) bool {
	for _, sentinel := range []error{ErrHeader, ErrStale, ErrProbe, ErrUnknownKey, ErrSignature, ErrOpen, ErrFormat, ErrTooLarge, ErrUnsent} {
		if errors.Is(err, sentinel) {
			return false
		}
	}
	return err != nil
}

func TestPublicKeysNeedNoDownload(t *testing.T) {
	keys := map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}
	src := &source{certs: both()}
	k := NewKeyring(keys, src.download)
	delete(keys, pubID) // the keyring has its own copy
	mustKey(t, k, pubID)
	mustBeUnknown(t, k, pubID+"9")
	src.want(t, 0) // no list of certificates has a public key in it
	if k.Preferred() != pubID {
		t.Errorf("preferred %q, want %q", k.Preferred(), pubID)
	}
	k = NewKeyring(nil, nil)
	mustBeUnknown(t, k, serial1)
	if k.Preferred() != "" {
		t.Errorf("preferred %q of no keys", k.Preferred())
	}
	// The newest of several, in whatever order a map gives them.
	for range 20 {
		keys := map[string]*rsa.PublicKey{"ZZZ": nil}
		for i := range 9 {
			keys[fmt.Sprint(pubID, i)] = &platformKey().PublicKey
		}
		if got := NewKeyring(keys, nil).Preferred(); got != pubID+"8" {
			t.Fatalf("preferred %q, want %q", got, pubID+"8")
		}
	}
}

func TestKeyringFetchesLazily(t *testing.T) {
	src := &source{certs: both(), takes: time.Second}
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(nil, src.download)
		time.Sleep(time.Hour)
		src.want(t, 0)
		for range 1000 {
			mustKey(t, k, serial1)
			mustKey(t, k, serial2)
			time.Sleep(43 * time.Second) // 1000 times this is just short of 12 hours
		}
		src.want(t, 1)
		time.Sleep(10 * time.Minute)
		mustKey(t, k, serial1)
		mustKey(t, k, serial1)
		src.want(t, 2)
	})
}

// A storm of forged serials, one after another and all at once (threats C6).
func TestForgedSerialsCostOneDownloadAMinute(t *testing.T) {
	src := &source{certs: both(), takes: time.Second}
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(nil, src.download)
		start := time.Now()
		for i := 0; time.Since(start) < 10*time.Minute; i++ {
			mustBeUnknown(t, k, fmt.Sprintf("%040X", i))
			time.Sleep(50 * time.Millisecond)
		}
		src.want(t, 10)

		time.Sleep(pause)
		src.downloads.Store(0)
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				if i%5 == 0 {
					mustKey(t, k, serial1) // a true one is not drowned
				} else {
					mustBeUnknown(t, k, fmt.Sprintf("%040X", i))
				}
			})
		}
		wg.Wait()
		src.want(t, 1)
	})
}

// The first notifications of a new instance come together: one download serves all.
func TestKeyringSharesOneDownload(t *testing.T) {
	src := &source{certs: both(), takes: 2 * time.Second}
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(nil, src.download)
		start := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { mustKey(t, k, serial1) })
			wg.Go(func() { mustKey(t, k, serial2) })
		}
		wg.Wait()
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("it took %v, want 2s", d)
		}
		src.want(t, 1)
	})
}

func TestKeyringFailedDownload(t *testing.T) {
	// Whatever the download failed of, it says nothing about the notification.
	for _, cause := range []error{errors.New("connection refused"), ErrUnsent, ErrSignature, ErrOpen, ErrUnknownKey, ErrHeader, ErrFormat, ErrTooLarge, ErrStale} {
		src := &source{err: fmt.Errorf("deep: %w", cause)}
		synctest.Test(t, func(t *testing.T) {
			k := NewKeyring(nil, src.download)
			for range 59 {
				mustNotTell(t.Context(), t, k, serial1)
				time.Sleep(time.Second)
			}
			src.want(t, 1) // a failure counts
			src.certs, src.err = both(), nil
			mustNotTell(t.Context(), t, k, serial1)
			time.Sleep(time.Second)
			mustKey(t, k, serial1)
			src.want(t, 2)
			mustBeUnknown(t, k, "00")
		})
	}
}

func TestEmptyListOfCertificatesIsAFailure(t *testing.T) {
	src := &source{certs: both()}
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(nil, src.download)
		mustKey(t, k, serial1)
		src.certs = nil
		time.Sleep(keepFor)
		mustKey(t, k, serial1) // an empty list does not take away what we have
		mustNotTell(t.Context(), t, k, "00")
	})
}

// A known key is served while its list cannot be renewed, and a slow renewal
// costs one caller a little, once a minute.
func TestKeyringRenewsOnTheSide(t *testing.T) {
	src := &source{certs: both()}
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(nil, src.download)
		mustKey(t, k, serial1)
		src.takes = time.Hour
		time.Sleep(keepFor)
		start := time.Now()
		var wg sync.WaitGroup
		waited := atomic.Int64{}
		for range 50 {
			wg.Go(func() {
				mustKey(t, k, serial1)
				if d := time.Since(start); d > 0 {
					waited.Add(1)
					if d != renewTime {
						t.Errorf("a caller waited %v, want %v", d, renewTime)
					}
				}
			})
		}
		wg.Wait()
		if waited.Load() != 1 {
			t.Errorf("%d callers waited, want 1", waited.Load())
		}
		src.want(t, 2)
		for range 57 {
			mustKey(t, k, serial1)
			time.Sleep(time.Second)
		}
		src.want(t, 2)
		time.Sleep(time.Second)
		src.takes = 0
		mustKey(t, k, serial1)
		src.want(t, 3)
		mustKey(t, k, serial1)
		src.want(t, 3)
	})
}

func TestWaitingForADownloadEndsWithTheContext(t *testing.T) {
	src := &source{certs: both(), takes: 5 * time.Second}
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(nil, src.download)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { mustKey(t, k, serial1) })
		synctest.Wait()
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := k.Key(ctx, serial1)
			if !errors.Is(err, context.DeadlineExceeded) || !couldNotTell(err) || time.Since(start) != time.Second {
				t.Errorf("a waiter with a second: error %v after %v", err, time.Since(start))
			}
		})
		wg.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(2*time.Second, func() { cancel(errors.New("hung up")) })
			_, err := k.Key(ctx, serial1)
			if !couldNotTell(err) || time.Since(start) != 2*time.Second {
				t.Errorf("a waiter that is cancelled: error %v after %v", err, time.Since(start))
			}
		})
		wg.Wait()
		src.want(t, 1)
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("the download ended after %v", d)
		}
	})
}

// Who begins a download lends it its deadline, but hanging up does not end it: a
// stranger could else keep every download from finishing, one a minute.
func TestKeyringDownloadSurvivesCancel(t *testing.T) {
	src := &source{certs: both(), takes: time.Second}
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(nil, src.download)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		k.Key(ctx, "00")
		src.takes = time.Hour
		mustKey(t, k, serial1)
		src.want(t, 1)
	})
	src = &source{certs: both(), takes: 5 * time.Second}
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(nil, src.download)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := k.Key(ctx, serial1); !couldNotTell(err) || time.Since(start) != 3*time.Second {
			t.Errorf("with 3 s for a download of 5 s: error %v after %v", err, time.Since(start))
		}
		// Nobody waits for ever, even without a deadline.
		src.takes = time.Hour
		time.Sleep(pause)
		start = time.Now()
		if _, err := k.Key(context.Background(), serial1); !couldNotTell(err) || time.Since(start) != downloadTime {
			t.Errorf("without a deadline: error %v after %v", err, time.Since(start))
		}
		src.want(t, 2)
	})
}

// A caller that comes too late asks nothing, so that nothing is counted either.
func TestCallerWhoComesTooLateAsksNothing(t *testing.T) {
	src := &source{certs: both()}
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(nil, src.download)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		mustNotTell(ctx, t, k, serial1)
		src.want(t, 0)
		mustKey(t, k, serial1)
		if _, err := k.Key(ctx, serial1); err != nil {
			t.Errorf("a key that is at hand needs no time: error %v", err)
		}
		time.Sleep(keepFor)
		if _, err := k.Key(ctx, serial1); err != nil {
			t.Errorf("nor does one on a list that has grown old: error %v", err)
		}
		src.want(t, 1)
		mustKey(t, k, serial1)
		src.want(t, 2)
	})
}

// A panic in the download does not leave the lock behind.
func TestPanickingDownloadLeavesNoLockBehind(t *testing.T) {
	first := true
	k := NewKeyring(nil, func(context.Context) ([]Certificate, error) {
		if first {
			first = false
			panic("boom")
		}
		return both(), nil
	})
	func() {
		defer func() { recover() }()
		k.Key(t.Context(), serial1)
	}()
	mustKey(t, k, serial1)
}

func TestOnlyCertificatesInForceAreTrusted(t *testing.T) {
	src := &source{certs: both()}
	synctest.Test(t, func(t *testing.T) {
		src.certs[0].NotAfter = time.Now().Add(time.Hour)
		src.certs[1].NotBefore = time.Now().Add(time.Hour)
		k := NewKeyring(nil, src.download)
		mustKey(t, k, serial1)
		mustBeUnknown(t, k, serial2)
		time.Sleep(time.Hour)
		mustKey(t, k, serial1) // to the end of its last second
		mustKey(t, k, serial2)
		time.Sleep(time.Second)
		mustBeUnknown(t, k, serial1) // which asks again
		src.want(t, 2)
		// A certificate that is no longer listed is no longer a key.
		src.certs = src.certs[:1]
		src.certs[0].NotAfter = date(2030)
		time.Sleep(pause)
		mustKey(t, k, serial1)
		mustBeUnknown(t, k, serial2)
		src.want(t, 3)
		// Nor one without a key in it.
		src.certs[0].Key = nil
		time.Sleep(keepFor)
		mustKey(t, k, serial1)
		mustBeUnknown(t, k, serial1)
	})
}

// The change of keys that everybody meets: for a week WeChat Pay signs with the
// old certificate, the new one (listed a day before its first use) or the public
// key, at random. None of its notifications may be refused, and none of the forger's
// accepted (threats C6).
func TestKeyRotationRefusesNoGenuineNotification(t *testing.T) {
	src := &source{certs: both()[:1], takes: 200 * time.Millisecond}
	platforms := []*Platform{{serial1, platformKey()}, {serial2, nextKey()}, newPlatform()}
	forgerKey()
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyring(map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}, src.download)
		random := rand.New(rand.NewPCG(1, 2))
		notifications, begin := 0, time.Now()
		for time.Since(begin) < 9*24*time.Hour {
			age := time.Since(begin)
			if age > 24*time.Hour {
				src.certs = both()
			}
			sender := platforms[0]
			if share := (age - 48*time.Hour).Hours() / (7 * 24); random.Float64() < share {
				sender = platforms[1+random.IntN(2)]
			}
			h, body := http.Header{}, []byte(`{"id":"1"}`)
			if err := sender.Sign(h, body, time.Now()); err != nil {
				t.Fatal(err)
			}
			if err := k.Verify(t.Context(), h, body); err != nil {
				t.Errorf("after %v, signed by %s: %v", age, sender.Serial, err)
			}
			forged := &Platform{sender.Serial, forgerKey()}
			if err := forged.Sign(h, body, time.Now()); err != nil {
				t.Fatal(err)
			}
			if err := k.Verify(t.Context(), h, body); !errors.Is(err, ErrSignature) {
				t.Errorf("after %v, forged as %s: error %v, want %v", age, sender.Serial, err, ErrSignature)
			}
			notifications++
			time.Sleep(time.Duration(random.Int64N(int64(2 * time.Hour))))
		}
		if n := src.downloads.Load(); n > 2*9+2 {
			t.Errorf("%d downloads in 9 days, want about two a day", n)
		}
		t.Logf("%d notifications and as many forged, %d downloads, no wrong verdict", notifications, src.downloads.Load())
	})
}

// A notification that could not be verified for want of the list is not called forged.
func TestFailedDownloadCallsNoNotificationForged(t *testing.T) {
	src := &source{err: ErrSignature}
	h, body := http.Header{}, []byte("{}")
	(&Platform{serial1, platformKey()}).sign(h, body, now(), nonce)
	k := NewKeyring(nil, src.download)
	if err := verifyNow(k, h, body); !couldNotTell(err) {
		t.Errorf("error %v, want one that says that we could not find out", err)
	}
}

// A merchant of public keys only has no certificates: a serial that is none of
// its keys is then known to be unknown. A merchant without any key is told what
// is missing.
func TestMerchantWithoutCertificatesIsToldWhatIsMissing(t *testing.T) {
	none := func(context.Context) ([]Certificate, error) { return nil, ErrNoCertificates }
	k := NewKeyring(map[string]*rsa.PublicKey{publicKeyID + "1": {}}, none)
	mustBeUnknown(t, k, "5157F09E")
	k = NewKeyring(nil, none)
	if _, err := k.Key(t.Context(), "5157F09E"); err == nil || errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), "public key") {
		t.Errorf("without any key: %v, want what is missing", err)
	}
}
