package world

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The kinds of merchants, by the keys of WeChat Pay that they work with.
const (
	// MerchantCertificate has platform certificates and no public key, as all had before
	// 2024: what it asks for in Wechatpay-Serial changes nothing.
	MerchantCertificate = "certificate"

	// MerchantSwitching has both, and is being moved from the one to the other.
	MerchantSwitching = "switching"

	// MerchantPublicKey has the public key alone, as everybody who has come since
	// November 2024 and whoever has ended the switch: there is no certificate to download.
	MerchantPublicKey = "public-key"
)

var merchants = []string{MerchantCertificate, MerchantSwitching, MerchantPublicKey}

func errMerchant(name string) error {
	return fmt.Errorf("sandbox: merchant %q is not one of %s", name, strings.Join(merchants, ", "))
}

// shares are of how many notifications in a hundred the signature is the public key's, on
// each day of a switch: WeChat Pay decides, and not the merchant
// (developers.weixin.qq.com community/pay/doc/000a4e6c9a00209af2335313c61400).
var shares = [...]float64{0.1, 1, 5, 10, 20, 50, 100}

// A keyChange is a merchant's way from certificates to the public key.
type keyChange struct {
	merchant string
	began    time.Time // virtual
	byHand   *float64  // the share, instead of the day's
}

// share is of how many notifications in a hundred the public key signs.
func (c keyChange) share(now time.Time) float64 {
	switch {
	case c.merchant == MerchantCertificate:
		return 0
	case c.merchant == MerchantPublicKey:
		return 100
	case c.byHand != nil:
		return *c.byHand
	}
	return shares[min(int(now.Sub(c.began)/(24*time.Hour)), len(shares)-1)]
}

// A Share says how far the merchant's switch to the public key is.
type Share struct {
	Merchant string  `json:"merchant"`
	Percent  float64 `json:"percent"` // of the notifications that the public key signs
	ByHand   bool    `json:"by_hand"` // it was set, and does not follow WeChat Pay's seven days
}

// ErrNoSwitch is for setting a share that cannot be another.
var ErrNoSwitch = errors.New("sandbox: only a merchant of the kind switching has a share that can be set")

// Share returns it as it is now.
func (w *World) Share() Share {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.share()
}

// share is made with w.mu held.
func (w *World) share() Share {
	c := w.keys.change
	return Share{c.merchant, c.share(w.clock.now()), c.byHand != nil}
}

// SetShare lets the public key sign so many notifications in a hundred, whatever the day.
// Nil gives the share back to the days, which have gone on meanwhile. Which
// notifications those are the seed decides, and each stays one of them when the share grows.
func (w *World) SetShare(percent *float64) (Share, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys.change.merchant != MerchantSwitching {
		return Share{}, ErrNoSwitch
	}
	w.keys.change.byHand = percent
	w.Log.Info("share of the public key set", "percent", w.share().Percent, "by_hand", percent != nil)
	return w.share(), nil
}
