package clients_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"wxrefund/shared/sandbox/sandboxtest"
)

// another is a key that the merchant does not have, of any kind that is text.
var another = strings.Repeat("x", 32)

// A v3Refund is what WeChat Pay says about one.
type v3Refund struct {
	ID, Status string
	Fen        int64
}

func (r v3Refund) String() string { return fmt.Sprintf("%s %d", r.Status, r.Fen) }

// A v3Client is a client of APIv3 in Go. testdata/v3.js has the same for Node.
type v3Client struct {
	refund       func(number string, fen int64, notifyURL string) (v3Refund, error)
	find         func(number string) (v3Refund, error)
	open         func(notification *http.Request, apiv3Key string) (v3Refund, error)
	certificates func(apiv3Key string) (string, error) // their serials
	order        func(number string) (paidOrder, error)
}

// A paidOrder is what WeChat Pay says about one.
type paidOrder struct {
	State, OpenID string
	Fen           int64
}

func (o paidOrder) String() string { return fmt.Sprintf("%s %s %d", o.State, o.OpenID, o.Fen) }

// refusal is how WeChat Pay refuses, if an error says so; otherwise the client does.
func refusal(err error) string {
	for _, code := range []string{"INVALID_REQUEST", "RESOURCE_NOT_EXISTS", "REFUNDNOTEXIST", "ORDER_NOT_EXIST", "ORDERNOTEXIST", "签名错误"} {
		if strings.Contains(err.Error(), code) {
			return code
		}
	}
	return "refused"
}

// tryV3 refunds, asks and reads notifications, as testdata/v3.js does.
func (s *stage) tryV3(r *sandboxtest.Receiver, c v3Client) {
	s.t.Helper()
	key := s.credentials["apiv3_key"]
	ask := func(number string, fen int64) (v3Refund, error) {
		return c.refund(number, fen, sandboxtest.NotifyURL)
	}
	summary := func(r v3Refund, err error) (string, error) { return r.String(), err }

	var made v3Refund
	s.attempt("refund", func() (_ string, err error) {
		made, err = ask("R1", 888)
		return summary(made, err)
	}, refusal)
	s.attempt("refund, again", func() (string, error) {
		again, err := ask("R1", 888)
		return fmt.Sprint(again.ID == made.ID && made.ID != ""), err
	}, refusal)
	s.attempt("refund, of another amount", func() (string, error) { return summary(ask("R1", 889)) }, refusal)

	// While a merchant changes over, WeChat Pay signs with keys of either kind.
	shares := map[string]string{"R1": ""}
	if s.kind == "switching" {
		shares = map[string]string{"R1": "0", "R2": "100"}
	}
	for _, number := range slices.Sorted(maps.Keys(shares)) {
		if share := shares[number]; share != "" {
			s.Control("POST", "/_sandbox/keys/share", `{"percent":`+share+`}`, 200)
		}
		if _, err := ask(number, 888); err != nil {
			s.t.Fatal(err)
		}
		open := func(key string) func(*http.Request) (string, error) {
			return func(r *http.Request) (string, error) { return summary(c.open(r, key)) }
		}
		tampered, genuine := s.settle(r, number, open(key), `{"code":"SUCCESS"}`)
		by := "certificate"
		if strings.HasPrefix(genuine.Header.Get("Wechatpay-Serial"), "PUB_KEY_ID_") {
			by = "public key"
		}
		s.outcomes["notification by "+by] = genuine.outcome
		s.outcomes["notification by "+by+", tampered with"] = tampered.outcome
		s.attempt("notification by "+by+", with another key", func() (string, error) { return open(another)(genuine.request()) }, refusal)
		s.attempt("query, "+by, func() (string, error) { return summary(c.find(number)) }, refusal)
	}

	s.attempt("query, unknown", func() (string, error) { return summary(c.find("R0")) }, refusal)
	s.Control("POST", "/_sandbox/faults", `{"upstream":"bad_signature","count":1}`, 200)
	s.attempt("query, forged", func() (string, error) { return summary(c.find("R1")) }, refusal)
	s.Pay(`{"out_trade_no":"O1","total":10000,"openid":"oBuyer"}`)
	for check, number := range map[string]string{"": "O1", ", unknown": "O0"} {
		s.attempt("order"+check, func() (string, error) {
			o, err := c.order(number)
			return o.String(), err
		}, refusal)
	}
	s.attempt("certificates", func() (string, error) { return c.certificates(key) }, refusal)
	s.attempt("certificates, with another key", func() (string, error) { return c.certificates(another) }, refusal)
}
