package notify

// The outcomes of a notification.
const (
	outcomeAcknowledged = "acknowledged" // it has been settled
	outcomeRefused      = "refused"      // it is not believed, or not about our refunds
	outcomeUnsettled    = "unsettled"    // it may be acknowledged when it is sent again
)

// Outcomes lists how notifications are answered.
func Outcomes() []string { return []string{outcomeAcknowledged, outcomeRefused, outcomeUnsettled} }

// Why notifications are refused. Those of a signature are in the log's words.
const (
	reasonMethod     = "method"
	reasonTooLarge   = "too large"
	reasonBrokenOff  = "broken off"
	reasonProbe      = "probe"
	reasonHeader     = "header"
	reasonStale      = "stale"
	reasonUnknownKey = "unknown key"
	reasonSignature  = "signature"
	reasonUnreadable = "unreadable"       // its signature holds
	reasonAPIKey     = "api key"          // v2: it does not open with our key
	reasonMalformed  = "malformed"        // v2, or a relay
	reasonMerchant   = "another merchant" // it is genuine
	reasonCaller     = "caller"           // of a relay, who may not be one
)

// Reasons lists why notifications are refused.
func Reasons() []string {
	return []string{
		reasonMethod, reasonTooLarge, reasonBrokenOff, reasonProbe, reasonHeader, reasonStale, reasonUnknownKey, reasonSignature,
		reasonUnreadable, reasonAPIKey, reasonMalformed, reasonMerchant, reasonCaller,
	}
}

// answered tells of one answer: refused if there is a reason.
func (h *Handler) answered(settled bool, reason string) {
	if h.Answered == nil {
		return
	}
	outcome := outcomeAcknowledged
	switch {
	case reason != "":
		outcome = outcomeRefused
	case !settled:
		outcome = outcomeUnsettled
	}
	h.Answered(outcome, reason)
}
