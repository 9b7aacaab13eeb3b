package wxpay

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"wxrefund/shared/lock"
)

const (
	// keepFor is after how long the list of certificates is fetched again. WeChat
	// Pay lists a new certificate 24 hours before its first use, so that one failed
	// renewal does no harm (wiki/doc/apiv3/wechatpay/wechatpay5_0.shtml).
	keepFor = 12 * time.Hour

	// pause is the least time between the beginnings of two downloads, good or
	// bad. Anybody can send a notification with an invented serial; it must not cost us
	// a signed request each.
	pause = time.Minute

	// downloadTime bounds one download, renewTime one that nobody has to wait for
	// because the key asked for is at hand. A notification must be answered within
	// 5 seconds, and should not fail for a renewal that can wait.
	downloadTime = 10 * time.Second
	renewTime    = 2 * time.Second

	// publicKeyID begins the ID of a public key; no certificate's serial does
	// (doc/v3/merchant/4012154180).
	publicKeyID = "PUB_KEY_ID_"
)

// A Certificate is what matters of a platform certificate. Merchants registered
// since late 2024 have none, only public keys; those of before may have both.
type Certificate struct {
	SerialNo  string // as WeChat Pay writes it; see [SerialNo]
	Key       *rsa.PublicKey
	NotBefore time.Time
	NotAfter  time.Time // the earlier of the certificate's own and the one announced beside it
}

// A Keyring holds the keys of WeChat Pay that we trust. There may be several at
// once: while WeChat Pay changes from one to the next, it signs with either, at
// random, for a week. A Keyring may be used by many at the same time.
type Keyring struct {
	public atomic.Pointer[given]

	// Certificates are not looked for before a message needs one: a function that
	// starts cold to refuse a forged notification should fetch nothing.
	download func(context.Context) ([]Certificate, error)
	turn     lock.Mutex // held while downloading
	list     atomic.Pointer[listing]

	check func(key *rsa.PublicKey, message, sig []byte) error // the RSA step, so that tests can count it
}

// given are the public keys that we were given, and the ID of the preferred one. They
// are replaced as a whole, never changed.
type given struct {
	keys      map[string]*rsa.PublicKey
	preferred string
}

// A listing is what we know of the platform certificates. It is replaced by whoever
// has the turn, never changed, so that all others read it without a lock.
type listing struct {
	certs   map[string]Certificate
	fetched time.Time // when certs arrived; zero: never
	tried   time.Time // when the last download began, good or bad; zero: never
	failure error     // of the last download; nil if it succeeded
}

// NewKeyring returns a keyring with the given public keys, by their PUB_KEY_ID_,
// and with the certificates that download fetches when they are first needed.
// A nil download means that there are none. Most keyrings use a client that
// uses the keyring:
//
//	client.Keys = NewKeyring(keys, func(ctx context.Context) ([]Certificate, error) {
//		return client.Certificates(ctx, apiV3Key)
//	})
func NewKeyring(publicKeys map[string]*rsa.PublicKey, download func(ctx context.Context) ([]Certificate, error)) *Keyring {
	k := &Keyring{download: download, check: checkRSA}
	public := given{keys: maps.Clone(publicKeys)}
	for id := range public.keys {
		// The IDs contain a date, so the greatest is the newest.
		if strings.HasPrefix(id, publicKeyID) {
			public.preferred = max(public.preferred, id)
		}
	}
	k.public.Store(&public)
	k.list.Store(&listing{})
	return k
}

// Preferred returns the ID of the public key that WeChat Pay should sign its
// replies with: what a request carries as Wechatpay-Serial. "" if there are only
// certificates, of which WeChat Pay chooses by itself.
func (k *Keyring) Preferred() string { return k.public.Load().preferred }

// Prefer makes the public key of that ID the preferred one, in place of that whose
// ID is the greatest. It does nothing if the keyring has no such public key, and is
// not for a keyring that is in use.
func (k *Keyring) Prefer(id string) {
	if keys := k.public.Load().keys; keys[id] != nil && strings.HasPrefix(id, publicKeyID) {
		k.public.Store(&given{keys, id})
	}
}

// PublicOnly returns a keyring with the same public keys and without certificates: for
// whoever wants to know whether a message is signed with one of those.
func (k *Keyring) PublicOnly() *Keyring {
	public := NewKeyring(nil, nil)
	public.public.Store(k.public.Load())
	return public
}

// Adopt gives the keyring the public keys that other has, and the preferred one of
// them, in place of its own, and lets it look for certificates anew when it needs
// one. It is for a process that outlives a change of its settings, and may be called
// while the keyring is in use.
func (k *Keyring) Adopt(other *Keyring) {
	k.public.Store(other.public.Load())
	k.list.Store(&listing{})
}

// Key returns the key of that serial: a public key's ID or a certificate's
// serial number. [ErrUnknownKey] says that WeChat Pay has no such key, as far as
// we may ask: an unknown serial fetches the list of certificates anew, but at
// most once a minute. Any other error says that the list could not be fetched
// or that ctx has ended, so that the same question may have another answer later.
//
// Callers that need a download at the same time share one. Its deadline is that
// of the caller who began it; but it goes on if that caller is merely cancelled,
// since otherwise a stranger could keep us from ever learning a key by sending
// notifications and hanging up.
func (k *Keyring) Key(ctx context.Context, serial string) (*rsa.PublicKey, error) {
	return k.key(ctx, serial, time.Now())
}

// key is [Keyring.Key] at a given time.
func (k *Keyring) key(ctx context.Context, serial string, now time.Time) (*rsa.PublicKey, error) {
	if key := k.public.Load().keys[serial]; key != nil {
		return key, nil
	}
	// A public key's ID is never on the list, so a false one is not asked for.
	if strings.HasPrefix(serial, publicKeyID) {
		return nil, unknown(serial)
	}
	return k.listed(ctx, now, serial, func(l *listing) *rsa.PublicKey { return l.key(serial, now) })
}

// listed finds a key among the certificates, and fetches their list where it must and may.
func (k *Keyring) listed(ctx context.Context, now time.Time, serial string, find func(*listing) *rsa.PublicKey) (*rsa.PublicKey, error) {
	if k.download == nil {
		return nil, unknown(serial)
	}
	list := k.list.Load()
	if key := find(list); key != nil {
		if list.stale(now) {
			k.renew(ctx, now)
		}
		return key, nil
	}

	if k.turn.Lock(ctx) != nil {
		return nil, fmt.Errorf("wxpay: waiting for platform certificates: %w", context.Cause(ctx))
	}
	defer k.turn.Unlock()
	// If another had the turn before, the pause is on, and what we came for may be there.
	if list = k.list.Load(); !list.paused(now) {
		list = k.fetch(ctx, now, downloadTime)
	}
	switch key := find(list); {
	case key != nil:
		return key, nil
	case list.failure != nil:
		// Its text only: a download that was, say, unsent or badly signed says
		// nothing of the kind about the message that asked for the key.
		return nil, fmt.Errorf("wxpay: cannot fetch platform certificates: %v", list.failure)
	default:
		return nil, unknown(serial)
	}
}

// renew fetches a list that has grown old, on the side: whoever finds another
// doing so, or has no luck, goes on with the key that it has.
func (k *Keyring) renew(ctx context.Context, now time.Time) {
	// Too late to ask is this caller's failure, and not an attempt that others wait for.
	if ctx.Err() != nil || !k.turn.TryLock() {
		return
	}
	defer k.turn.Unlock()
	if list := k.list.Load(); list.stale(now) {
		k.fetch(ctx, now, renewTime)
	}
}

// fetch downloads the list, within limit, and returns what we know then. The
// caller has the turn. After a failure we keep what we had; after a success a
// certificate that is no longer listed is no longer trusted.
func (k *Keyring) fetch(ctx context.Context, now time.Time, limit time.Duration) *listing {
	before := k.list.Load()
	next := *before
	next.tried = now
	until := time.Now().Add(limit)
	if t, ok := ctx.Deadline(); ok && t.Before(until) {
		until = t
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()

	certs, err := k.download(ctx)
	switch {
	case errors.Is(err, ErrNoCertificates) && len(k.public.Load().keys) > 0:
		err = nil // a merchant of public keys only: now we know that no other key signs for it
	case err == nil && len(certs) == 0:
		err = errors.New("the list is empty")
	}
	next.failure = err
	if err == nil {
		next.fetched = now
		next.certs = make(map[string]Certificate, len(certs))
		for _, c := range certs {
			next.certs[c.SerialNo] = c
		}
	}
	if !k.list.CompareAndSwap(before, &next) {
		// [Keyring.Adopt] came between, and what arrived may be from before it: it serves
		// until somebody asks, which may be at once.
		next.fetched, next.tried = time.Time{}, time.Time{}
		k.list.Store(&next)
	}
	return &next
}

// key returns the key of a certificate that is in force, or nil. WeChat Pay signs
// with no other, so there is nothing to be lenient about.
func (l *listing) key(serial string, now time.Time) *rsa.PublicKey {
	c, ok := l.certs[serial]
	if !ok || now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return nil
	}
	return c.Key
}

// stale reports whether the list should be and may be fetched again.
func (l *listing) stale(now time.Time) bool {
	return now.Sub(l.fetched) >= keepFor && !l.paused(now)
}

// paused reports whether the last download is too recent for another.
func (l *listing) paused(now time.Time) bool {
	return !l.tried.IsZero() && now.Sub(l.tried) < pause
}

func unknown(serial string) error {
	return fmt.Errorf("%w %.128q", ErrUnknownKey, serial)
}
