package world

import "time"

// A NotificationKind is a way in which merchants are notified of how refunds end. What
// the kinds share is when notifications go out, and that they do until they are
// acknowledged.
type NotificationKind struct {
	Name    string
	Relayed bool   // called as a function of the merchant, not posted to the refund's address
	Media   string // Content-Type
	Signed  bool
	Sealed  bool

	// Write writes the notification: once, however often it is sent.
	Write func(Notice) ([]byte, error)

	// Open returns what is sealed in it; nil: nothing is.
	Open func(keys *Keys, body []byte) ([]byte, error)

	// Objection says why an answer does not acknowledge; nothing if it does.
	Objection func(status int, answer []byte) string
}

// The names of the kinds.
const (
	NotificationV3       = "v3"
	NotificationV2       = "v2"
	NotificationTemplate = "template" // CloudBase's template hands a v3 notification on, opened
	NotificationCloudPay = "cloudpay" // and CloudPay a v2 one
)

// A Notice is what a notification is about.
type Notice struct {
	ID      string
	Event   string // REFUND.SUCCESS, ...
	Summary string // for people
	At      time.Time
	Refund  Refund
	Keys    *Keys
}

// suffers tells whether a fault can apply to such a notification: most of them are
// about signatures.
func (k NotificationKind) suffers(f notificationFault) bool {
	return k.Signed || f.sealed && k.Sealed
}

// address is where notifications about a refund go. w.mu is held.
func (w *World) address(k NotificationKind, r *refund) string {
	switch {
	case k.Relayed:
		return w.urls.Relay
	case r.application.NotifyURL != "":
		return r.application.NotifyURL
	}
	return w.notifyURL()
}

// notify writes the notification about a refund's state and plans its delivery.
// Hostility and faults that decide about a notification as a whole apply here.
func (w *World) notify(r *refund, now time.Time, byHand bool) *delivery {
	kind, ok := w.kinds[r.notification]
	if !ok {
		return nil // who has made it must ask
	}
	d := &delivery{
		outRefundNo: r.application.OutRefundNo, kind: kind, url: w.address(kind, r),
		event: "REFUND." + r.status, state: DeliveryPending, next: now, made: now,
	}
	if d.url == "" {
		w.Log.Warn("nobody to notify: neither the refund nor the merchant platform names a URL", "out_refund_no", d.outRefundNo)
		return nil
	}
	d.id = w.rand.uuid("notification", d.outRefundNo, r.status, Stamp(now))
	body, err := kind.Write(Notice{d.id, d.event, summaries[r.status], now, r.snapshot(), w.Keys})
	if err != nil {
		w.Log.Error("notification not written", "out_refund_no", d.outRefundNo, "error", err)
		return nil
	}
	d.body = body
	if w.hostile {
		w.beHostile(d, now, byHand)
	}
	for _, f := range notificationFaults {
		if f.create != nil && w.applies(partNotify, f.name) {
			d.fault = f.name
			f.create(d, now)
		}
	}
	w.deliveries[d.id] = d
	w.notifications = append(w.notifications, d)
	r.notices = append(r.notices, d)
	d.number = len(w.notifications)
	if d.heldBack {
		w.heldBack = append(w.heldBack, d)
	}
	if d.state == DeliveryPending {
		w.plan(task{at: d.next, delivery: d})
	}
	w.touch(d)
	return d
}

// beHostile is mild hostility, on by default and decided by the seed. A notification
// that was acknowledged comes a second time up to a minute and a half later: it finds
// clients that book a refund once per notification, and those that let the late
// repeat of an older state overwrite a newer one. And one notification in six is held
// back until another has overtaken it: it finds clients that take the order of
// arrival for the order of events. Both are documented by WeChat Pay as normal.
func (w *World) beHostile(d *delivery, now time.Time, byHand bool) {
	d.duplicates++
	// Who settles by hand is watching, so the notification comes at once.
	if !byHand && w.rand.draw("overtake", d.id).IntN(6) == 0 {
		d.holdBack(now, w.rand.seconds(5*time.Second, 90*time.Second, "overtaken", d.id))
	}
}
