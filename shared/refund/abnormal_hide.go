package refund

import (
	"fmt"
	"io"
	"log/slog"
)

// String names the refund and hides what there is of a card.
func (a AbnormalRequest) String() string { return "[abnormal refund " + a.OutRefundNo + "]" }

// Format hides the card, whatever the verb.
func (a AbnormalRequest) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue hides the card.
func (a AbnormalRequest) LogValue() slog.Value { return slog.StringValue(a.String()) }
