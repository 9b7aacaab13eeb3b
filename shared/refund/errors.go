package refund

import (
	"errors"
	"fmt"
	"time"
)

// A Code says whose fault an error is.
type Code string

const (
	CodeInvalid     Code = "invalid"     // the caller's: a field or a rule
	CodeDenied      Code = "denied"      // the caller may not do this
	CodeNotFound    Code = "not_found"   // no such refund or order
	CodeConflict    Code = "conflict"    // the request contradicts what is recorded
	CodeLimited     Code = "limited"     // too many, too fast
	CodeRejected    Code = "rejected"    // the upstream refused, for certain
	CodeUnavailable Code = "unavailable" // nobody's: the outcome is unknown
	CodeInternal    Code = "internal"    // ours

	// CodeProposed is no failure: what was asked for waits for another person's approval.
	// The error's Proposed is the application.
	CodeProposed Code = "proposed"
)

// Next says what may be done after an error. The dispatcher's reply has four words for
// the six: retry is "never" for [AfterFix] and "later" for [LaterOrFix], since it says
// whether the same request may be repeated; what to correct is in message.
type Next string

const (
	Never      Next = "never"        // repeating is useless
	SameNumber Next = "same_number"  // repeat identically, at once if you like
	Later      Next = "later"        // repeat identically, after a pause
	NewNumber  Next = "new_number"   // only another refund number can succeed
	AfterFix   Next = "after_fix"    // correct what the message names, then repeat; the number stays free
	LaterOrFix Next = "later_or_fix" // repeat identically after a pause, or correct what the message names; the number stays free
)

// An Error is a refusal that may be shown to the caller.
type Error struct {
	Code       Code          `json:"code"`
	Next       Next          `json:"next"`
	Message    string        `json:"message"`               // one sentence that names the field or the rule, safe to show
	Upstream   string        `json:"upstream,omitempty"`    // the upstream's own code, verbatim
	RetryAfter time.Duration `json:"retry_after,omitempty"` // how long to pause, where known
	Unsent     bool          `json:"unsent,omitempty"`      // with CodeUnavailable: the request certainly did not leave this machine
	Err        error         `json:"-"`                     // cause, for the log only

	// MaybeNumberTaken: the upstream has several reasons for this refusal, and one of
	// them is that a refund of other content has the number. Only a query tells which.
	MaybeNumberTaken bool `json:"maybe_taken,omitempty"`

	// NotEnough, with CodeRejected: the merchant's balance is too low, and for no other reason.
	NotEnough bool `json:"not_enough,omitempty"`

	// Proposed, with CodeProposed: what waits for approval.
	Proposed *Application `json:"-"`

	// CountedOnly, with CodeUnavailable: the upstream counts the refund that was asked
	// about, so that it exists, and reports neither status nor amount.
	CountedOnly bool `json:"exists,omitempty"`
}

func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Upstream != "" {
		s = string(e.Code) + " (" + e.Upstream + "): " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// AsError returns the first [Error] in err's tree. Anything else becomes an
// internal error whose text is for the log only.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeInternal, Next: SameNumber, Message: "internal error; the log has the details", Err: err}
}

// IsCode reports whether err carries the given code.
func IsCode(err error, code Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

func invalidf(format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Next: AfterFix, Message: fmt.Sprintf(format, args...)}
}

func conflictf(format string, args ...any) *Error {
	return &Error{Code: CodeConflict, Next: Never, Message: fmt.Sprintf(format, args...)}
}

func unavailable(message string, cause error) *Error {
	return &Error{Code: CodeUnavailable, Next: SameNumber, Message: message, Err: cause}
}
