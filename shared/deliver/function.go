package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
)

// errNotSuccess is why a function's answer counts as a failure. The answer is
// not quoted: it may hold anything.
var errNotSuccess = errors.New("deliver: the function returned no object whose code is SUCCESS")

// Function delivers to a cloud function of the gateway's environment. It has taken
// the event if it returns an object whose code is SUCCESS, and else it has not
// (CloudBase template, wxpay_refund).
func Function(gateway *cloudbase.Gateway, name string) refund.Subscriber {
	return refund.Subscriber{Name: "scf:" + name, Tell: func(ctx context.Context, e refund.Event) error {
		event, err := Encode(e)
		if err != nil {
			return err
		}
		reply, err := gateway.Invoke(ctx, name, event)
		if err != nil {
			return fmt.Errorf("deliver: the function could not be called: %w", err)
		}
		var taken struct{ Code any }
		if json.Unmarshal(reply, &taken) != nil || taken.Code != "SUCCESS" {
			return errNotSuccess
		}
		return nil
	}}
}
