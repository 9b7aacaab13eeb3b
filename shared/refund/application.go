package refund

import "time"

// VerifyOrder says when the upstream is asked about an order before a refund of it is
// claimed. What the ledger knows of an order stays, whatever is set.
type VerifyOrder int

const (
	VerifyNever  VerifyOrder = iota // the caller's word about the order counts
	VerifyFirst                     // before an order's first refund; afterwards the ledger knows it
	VerifyAlways                    // before each refund, and none without an answer
)

// SelfMode is what a buyer's application leads to.
type SelfMode int

const (
	SelfOff     SelfMode = iota // buyers cannot apply
	SelfPropose                 // it waits for an operator
	SelfAuto                    // it is refunded at once within the bounds of [SelfService], and waits beyond them
)

// SelfService says what buyers may do by themselves.
type SelfService struct {
	Mode   SelfMode
	MaxFen int64         // SelfAuto: what one order may get without a decision, in all; CNY
	Within time.Duration // SelfAuto: since the order was paid
	Daily  int           // applications of one payer a day
}

// ApplicationState is what has become of an application.
type ApplicationState string

const (
	ApplicationPending   ApplicationState = "PENDING"   // waits for a decision
	ApplicationApproved  ApplicationState = "APPROVED"  // its refund has been, or is being, submitted
	ApplicationRejected  ApplicationState = "REJECTED"  // by an operator
	ApplicationWithdrawn ApplicationState = "WITHDRAWN" // by who applied
	ApplicationExpired   ApplicationState = "EXPIRED"   // nobody has decided within seven days
	ApplicationRefunded  ApplicationState = "REFUNDED"  // its refund has succeeded
)

// ApplicationStates lists them.
func ApplicationStates() []ApplicationState {
	return []ApplicationState{ApplicationPending, ApplicationApproved, ApplicationRejected,
		ApplicationWithdrawn, ApplicationExpired, ApplicationRefunded}
}

// An Application is a wish for a refund that somebody has to allow: a buyer's, or that of
// an operator whose refund is so large that a second one must agree.
type Application struct {
	ID            string            `json:"application_id"`
	State         ApplicationState  `json:"state"`
	OutTradeNo    string            `json:"out_trade_no,omitempty"`
	TransactionID string            `json:"transaction_id,omitempty"`
	Amount        ApplicationAmount `json:"amount"`
	Reason        string            `json:"reason,omitempty"`
	CreatedAt     time.Time         `json:"created_at"`
	DecidedAt     time.Time         `json:"decided_at,omitzero"`
	OutRefundNo   string            `json:"out_refund_no,omitempty"` // once there is one
	Refund        *Refund           `json:"refund,omitempty"`        // once there is one, where the caller asked for one application

	// In full, for whoever runs the service; buyers and replies to callers have neither.
	Applicant string         `json:"applicant,omitempty"` // an identity: see [Caller.Identity]
	History   []HistoryEntry `json:"history,omitempty"`

	Pending []PendingDelivery `json:"-"` // in full: what subscribers have not acknowledged yet, oldest first
}

// ApplicationAmount is money in minor units.
type ApplicationAmount struct {
	Refund   int64  `json:"refund"`
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

// ApplyRequest asks for a refund on behalf of the buyer who calls.
type ApplyRequest struct {
	TransactionID string      `json:"transaction_id" validate:"required_without=OutTradeNo,max=32"`
	OutTradeNo    string      `json:"out_trade_no" validate:"max=32"`
	Amount        ApplyAmount `json:"amount"`
	Reason        string      `json:"reason" validate:"required,maxbytes=80,wxtext"`
	RequestID     string      `json:"request_id" validate:"max=64"` // the caller's own: the same names the same application
}

// ApplyAmount is the part of an order that a buyer wants back, in minor units; 0: all that is left.
type ApplyAmount struct {
	Refund int64 `json:"refund" validate:"min=0,max=9007199254740991" wire:"fen"`
}

// A Decision is about one application.
type Decision struct {
	ApplicationID string `json:"application_id" validate:"required,max=64"`
	Reason        string `json:"reason" validate:"maxbytes=240,wxtext"`
}

// ApplicationQuery asks for a list of applications, or of refunds, newest first.
type ApplicationQuery struct {
	Kind   string `json:"kind" validate:"omitempty,oneof=applications refunds"` // "": applications
	State  string `json:"state" validate:"max=32"`                              // "": any
	Offset int    `json:"offset" validate:"min=0,max=9007199254740991"`
	Limit  int    `json:"limit" validate:"min=0,max=50"` // 0: 20
}

// A Listing is a part of a list: applications, or refund objects.
type Listing struct {
	Total  int64 `json:"total"`
	Offset int   `json:"offset"`
	Items  []any `json:"items"`
}

// AbnormalRequest has the money of an abnormal refund sent elsewhere (APIv3, "Apply for
// an abnormal refund", 4012791904). What it holds of the payer's card is sealed for WeChat Pay at once and
// never stored or logged.
type AbnormalRequest struct {
	OutRefundNo string `json:"out_refund_no" validate:"required,max=64"`
	Type        string `json:"type" validate:"required,oneof=USER_BANK_CARD MERCHANT_BANK_CARD"`
	BankType    string `json:"bank_type" validate:"max=16"`
	BankAccount string `json:"bank_account" validate:"max=64"`
	RealName    string `json:"real_name" validate:"maxbytes=128,wxtext"`

	RefundID string `json:"-"` // WeChat Pay's own number, which the service fills in
}
