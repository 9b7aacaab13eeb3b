package world

import (
	"fmt"
	"time"
)

// sent completes the record of a notification and returns where it stands in the journal.
func (r *Record) sent(s *sending, a Attempt) string {
	kind := s.delivery.kind
	r.x.At, r.x.About = s.started, []string{s.delivery.outRefundNo}
	if s.fault != nil {
		r.Suffer(s.fault.name)
	}
	if kind.Signed {
		age := time.Duration(0) // of the signature, when it was sent
		if s.fault != nil {
			age = s.fault.aged // which is all that is wrong with it then
		}
		r.Check("signature", s.fault == nil || age > 0, "RSA with SHA-256, by WeChat Pay's key "+s.key.Serial)
		r.Check("timestamp", age == 0, fmt.Sprintf("signed %d s before it was sent; from 300 s on it is to be refused", int(age.Seconds())))
	}
	if kind.Open != nil {
		r.x.Request.Opened = r.world.Unseal(r.x.Request.Body)
		opens := r.x.Request.Opened != ""
		r.Check("seal", opens, map[bool]string{true: "opens with the merchant's key", false: "does not open with the merchant's key"}[opens])
	}
	if s.fault != nil {
		r.Check("fault", false, s.fault.teaches)
	}
	r.x.Rightly = a.Rightly()
	switch {
	case r.x.Rightly:
		r.Check("refusal", true, fmt.Sprintf("refused with status %d, as it must be", a.Status))
	case a.Status != 0:
		r.Check("acknowledgement", a.Error == "", a.Error)
	}
	r.x.Refused = a.Error != ""
	return r.Keep(func(*Exchange) bool { return true }).ID
}

// Unseal returns what is sealed in a notification of any kind; nothing if that cannot be opened.
func (w *World) Unseal(body string) string {
	for _, kind := range w.kinds {
		if kind.Open == nil {
			continue
		}
		if plain, err := kind.Open(w.Keys, []byte(body)); err == nil {
			return string(plain)
		}
	}
	return ""
}
