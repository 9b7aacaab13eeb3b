package clients_test

import (
	"fmt"
	"net/http"

	"wxrefund/shared/sandbox/sandboxtest"
)

// A v2Refund is what WeChat Pay says about one.
type v2Refund struct{ ID, Status, Fee string }

func (r v2Refund) String() string { return r.Status + " " + r.Fee }

// A v2Client is a client of v2 in Go. testdata/v2.js has the same for Node.
type v2Client struct {
	refund func(signType, number, fee, apiKey string) (v2Refund, error)
	find   func(signType, number string) (v2Refund, error)
	open   func(notification *http.Request, apiKey string) (v2Refund, error)
	order  func(signType, number string) (paidOrder, error)
}

// tryV2 refunds, asks and reads notifications, as testdata/v2.js does.
func (s *stage) tryV2(r *sandboxtest.Receiver, c v2Client) {
	s.t.Helper()
	key := s.credentials["api_key"]
	summary := func(r v2Refund, err error) (string, error) { return r.String(), err }
	for _, signType := range []string{"MD5", "HMAC-SHA256"} {
		number := "R-" + signType
		attempt := func(check string, call func() (string, error)) { s.attempt(signType+" "+check, call, refusal) }

		var made v2Refund
		attempt("refund", func() (_ string, err error) {
			made, err = c.refund(signType, number, "888", key)
			return summary(made, err)
		})
		attempt("refund, again", func() (string, error) {
			again, err := c.refund(signType, number, "888", key)
			return fmt.Sprint(again.ID == made.ID && made.ID != ""), err
		})
		attempt("refund, of another amount", func() (string, error) { return summary(c.refund(signType, number, "889", key)) })
		attempt("refund, with another key", func() (string, error) { return summary(c.refund(signType, "R0", "888", another)) })

		open := func(key string) func(*http.Request) (string, error) {
			return func(r *http.Request) (string, error) { return summary(c.open(r, key)) }
		}
		tampered, genuine := s.settle(r, number, open(key), sandboxtest.AckV2)
		s.outcomes[signType+" notification"] = genuine.outcome
		s.outcomes[signType+" notification, tampered with"] = tampered.outcome
		attempt("notification, with another key", func() (string, error) { return open(another)(genuine.request()) })
		attempt("query", func() (string, error) { return summary(c.find(signType, number)) })
		attempt("query, unknown", func() (string, error) { return summary(c.find(signType, "R0")) })
		s.Pay(fmt.Sprintf(`{"out_trade_no":"O-%s","total":10000,"openid":"oBuyer"}`, signType))
		for check, number := range map[string]string{"": "O-" + signType, ", unknown": "O0"} {
			attempt("order"+check, func() (string, error) {
				o, err := c.order(signType, number)
				return o.String(), err
			})
		}
		s.Control("POST", "/_sandbox/faults", `{"upstream":"bad_signature","count":1}`, 200)
		attempt("query, forged", func() (string, error) { return summary(c.find(signType, number)) })
	}
}
