package world

// sent completes the record of a notification and returns where it stands in the journal.
func (r *Record) sent(s *sending, a Attempt) string {
	kind := s.delivery.kind
	r.x.At, r.x.About = s.started, []string{s.delivery.outRefundNo}
	if s.fault != nil {
		r.Suffer(s.fault.name)
	}
	if kind.Signed {
		aged := s.fault != nil && s.fault.aged > 0 // which is all that is wrong with it then
		r.Check("signature", s.fault == nil || aged, "RSA with SHA-256, by WeChat Pay's key "+s.key.Serial)
		r.Check("timestamp", !aged, "")
	}
	if kind.Open != nil {
		r.x.Request.Opened = r.world.Unseal(r.x.Request.Body)
		r.Check("seal", r.x.Request.Opened != "", "opens with the merchant's key")
	}
	if s.fault != nil {
		r.Check("fault", false, s.fault.teaches)
	}
	if a.Status != 0 {
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
