package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"wxrefund/shared/console"
)

// Callers are whom the console plays: openids of users of the mini-program.
type Callers struct {
	Buyer     string   `json:"buyer"`     // who pays the orders that the console makes
	Operators []string `json:"operators"` // who decides, at most two of them
}

// MerchantCall calls the function of the merchant's side that mini-programs call, on behalf
// of a user, or as a server if openID is empty. It returns the reply.
type MerchantCall func(ctx context.Context, openID string, event json.RawMessage) (json.RawMessage, error)

// errNoFunction is for a sandbox without a merchant's side.
var errNoFunction = errors.New("sandbox: the merchant's side has no function here that could be asked")

// viewApplications lists the applications as one caller is told of them: what somebody may
// not see the merchant's side knows, and nobody here.
func (d *Door) viewApplications(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	as, state, part := p.Text("as"), p.Text("state"), pageOf(p)
	if err := p.Bad(); err != nil {
		return nil, err
	}
	if d.cfg.MerchantCall == nil {
		return nil, errNoFunction
	}
	query := map[string]any{"type": "wxpay_refund_list", "kind": "applications", "offset": part.offset, "limit": min(part.limit, 50)}
	if state != "" {
		query["state"] = state
	}
	event, err := json.Marshal(query)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), merchantTime)
	defer cancel()
	out, err := d.cfg.MerchantCall(ctx, as, event)
	if err != nil {
		return nil, &console.Refusal{Status: http.StatusBadGateway, Text: err.Error()}
	}
	var reply struct {
		Code    int             `json:"code"`
		ErrCode string          `json:"err_code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(out, &reply); err != nil || reply.Code == 0 && reply.Data == nil {
		return nil, &console.Refusal{Status: http.StatusBadGateway, Text: "what the function replies is no list"}
	}
	if reply.Code != 0 {
		status := reply.Code
		if status < 400 || status > 599 {
			status = http.StatusBadGateway
		}
		return nil, &console.Refusal{Status: status, Text: fmt.Sprintf("%d %s: %s", reply.Code, cmp.Or(reply.ErrCode, "?"), reply.Message)}
	}
	return reply.Data, nil
}
