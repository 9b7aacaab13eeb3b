package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/cloudbase"
	"wxrefund/shared/config"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// A system is one of the five upstream systems, as far as histories differ by it.
// What it reads it reads by itself: package channel is what is on trial.
type system struct {
	// wired is our side's channel with a client of the instance's own.
	wired func(sys *config.System, client *http.Client) refund.Channel
	asks  func(req *http.Request, body []byte) question
	reads func(w *world, q question, r *wireReply) answer
	opens func(w *world, l notification) (no, status string, believed trust)
	// forges are notifications that the system did not write, but for those with bits turned.
	forges func(w *world, no, status string) []notification
	hint   func(no, status string) []byte // what a relay says

	byTrade          bool     // orders have one name, the merchant's
	byOrder          bool     // it is asked about orders, and our ledger is not
	foreign          bool     // orders may be in any currency
	served           bool     // the merchant is served by a service provider
	handNotification string   // the kind of notifications about refunds made by hand; "": APIv3's
	unsigned         bool     // neither its answers nor its notifications bear a signature, so that faults of them do not apply
	paced            bool     // it always wants a minute between two refunds of one order
	faults           []string // what goes wrong there and nowhere else
}

// A question is what one of our requests is about.
type question struct {
	verb string // send, ask, or token
	no   string // the refund's number; of a question about many, what names them
	many bool
}

// An answer is what is heard in a reply, if there is reason to believe it.
type answer struct {
	statuses map[string]string // by refund number, in APIv3's words
	refused  bool              // a definite no
	exists   bool              // it counts the refund that was asked about and tells nothing of it
	mixable  bool              // names its refund, so that who gets it by mistake can tell
	says     string
}

// trust is what a notification deserves.
type trust int

const (
	forged trust = iota // nothing vouches for it
	hinted              // it may lead to a question, whose answer counts
	proven              // WeChat Pay has signed it
)

const apiv3 = "apiv3"

// others are the channels beside APIv3.
func others() []string { return []string{"cloudbase", "cloudpay", "global", "wecom"} }

// systems is the table of upstream systems.
func systems() map[string]*system {
	return map[string]*system{
		apiv3: {
			wired: func(sys *config.System, client *http.Client) refund.Channel {
				c := *sys.Refunds.Channel.(*channel.APIv3)
				c.Client = &wxpay.Client{Signer: quickly(c.Client.Signer), Keys: ring(), HTTP: client, Hosts: c.Client.Hosts}
				return &c
			},
			asks: asksV3, reads: readsV3, opens: opensV3, hint: hintTemplate,
			forges: func(w *world, no, status string) []notification { return []notification{w.invent(no, status)} },
		},
		"cloudbase": {
			wired: func(sys *config.System, client *http.Client) refund.Channel {
				c := *sys.Refunds.Channel.(*channel.CloudBase)
				c.Gateway = wiredGateway(c.Gateway, client)
				c.Bills = &wxpay.Client{Signer: quickly(c.Bills.Signer), Keys: ring(), HTTP: client, Hosts: c.Bills.Hosts}
				return &c
			},
			asks: asksGateway, reads: readsModule, opens: opensTemplate, hint: hintTemplate,
			forges:   forgesRelay,
			unsigned: true,
			faults: []string{
				"err_code:RATELIMIT_EXCEEDED", "err_code:SERVICE_UNAVAILABLE", "err_code:NO_AUTH", "err_code:PARAM_ERROR",
				"query:RESOURCE_NOT_EXISTS", "query:SYSTEM_ERROR", "query:FREQUENCY_LIMITED",
			},
		},
		"cloudpay": {
			wired: func(sys *config.System, client *http.Client) refund.Channel {
				c := *sys.Refunds.Channel.(*channel.CloudPay)
				c.Gateway = wiredGateway(c.Gateway, client)
				return &c
			},
			asks: asksGateway, reads: readsPay, opens: opensCloudPay, hint: hintCloudPay,
			forges:  forgesRelay,
			byOrder: true, served: true, unsigned: true,
			faults: append(faultsV2(), "err_code:NOAUTH"),
		},
		"global": {
			wired: func(sys *config.System, client *http.Client) refund.Channel {
				c := *sys.Refunds.Channel.(*channel.Global)
				c.HTTP = client
				return &c
			},
			asks: asksV2, reads: readsV2, opens: opensV2, hint: hintTemplate,
			forges:  forgesV2,
			byOrder: true, foreign: true, handNotification: "v2",
			faults: append(faultsV2(), "err_code:TRADE_OVERDUE"),
		},
		"wecom": {
			wired: func(sys *config.System, client *http.Client) refund.Channel {
				c := sys.Refunds.Channel.(*channel.WeCom)
				return &channel.WeCom{HTTP: client, Host: c.Host, CorpID: c.CorpID, CorpSecret: c.CorpSecret, MchID: c.MchID, AppID: c.AppID}
			},
			asks: asksWeCom, reads: readsWeCom, hint: hintTemplate,
			opens:   func(*world, notification) (no, status string, believed trust) { return "", "", forged },
			forges:  forgesRelay,
			byTrade: true, unsigned: true, paced: true,
			faults: []string{
				"err_code:40014", "err_code:42001", "err_code:-1", "err_code:45009", "err_code:60020", "err_code:720502", "err_code:720507",
				"query:-1", "query:45009", "query:42001", "query:720509",
			},
		},
	}
}

func faultsV2() []string {
	return []string{
		"err_code:SYSTEMERROR", "err_code:BIZERR_NEED_RETRY", "err_code:INVALID_REQ_TOO_MUCH", "err_code:ERROR", "err_code:INVALID_TRANSACTIONID",
		"err_code:ORDERNOTEXIST", "query:REFUNDNOTEXIST", "query:SYSTEMERROR", "query:FREQUENCY_LIMITED",
	}
}

func wiredGateway(g *cloudbase.Gateway, client *http.Client) *cloudbase.Gateway {
	c := *g
	c.HTTP = client
	return &c
}

func (h *history) system() *system { return systems()[h.Channel] }

// drawOn makes the history of a seed on a channel.
func drawOn(name string) func(seed uint64) *history {
	return func(seed uint64) *history {
		h := plainOn(name)(seed)
		h.extend(randomness(seed).of("further", name))
		h.losesAnswers(randomness(seed).of("commits", name))
		return h
	}
}

// plainOn makes the older part of a history. APIv3's are those of [plain]; the
// others have the same skeleton, fitted to what their system carries, and its own
// faults.
func plainOn(name string) func(seed uint64) *history {
	return func(seed uint64) *history {
		h := plain(seed)
		if name != apiv3 {
			h.Channel = name
			h.fit(randomness(seed).of("channel", name))
		}
		return h
	}
}

// fit makes a history one of its channel.
func (h *history) fit(r *rand.Rand) {
	s := h.system()
	for i := range h.Orders {
		o := &h.Orders[i]
		if s.foreign && r.IntN(3) == 0 {
			o.Currency = pick(r, "USD", "HKD", "JPY")
		}
		if o.Total > 2 && r.IntN(4) == 0 {
			o.Coupon, o.CouponType = 1+r.Int64N(o.Total/2), pick(r, "CASH", "NOCASH")
		}
	}
	for i := range h.Wishes {
		f := &h.Wishes[i]
		if s.byTrade && r.IntN(12) > 0 { // the rest asks for what is not carried, and is refused
			f.By = byTrade
		}
		f.Tries += r.IntN(3)
	}
	for i := range h.Acts {
		if s.byOrder && h.Acts[i].Do == "query" && r.IntN(2) == 0 {
			h.Acts[i].Do = pick(r, "query order", "query transaction")
		}
	}
	for i, v := range h.Faults {
		// Where notifications only lead to a question, an answer can be overtaken by the
		// notification's only if that is not as slow.
		if v.What == "upstream:slow" && s.byOrder {
			h.Faults[i].Rate = min(v.Rate, 0.5)
		}
		signatures := []string{"upstream:bad_signature", "upstream:unsigned", "notify:tamper", "notify:signtest", "notify:wrong_serial", "notify:stale"}
		if s.unsigned && slices.Contains(signatures, v.What) {
			h.Faults[i].What = pick(r, s.faults...)
		}
	}
	for range r.IntN(3) {
		from := span(r, 0, h.Heal/2)
		h.fault(from, from+span(r, h.Heal/200, h.Heal/3), pick(r, 0.15, 0.4, 0.8, 1), pick(r, s.faults...))
	}
	if s.byOrder && r.IntN(6) == 0 {
		overtakenPage(h, r, h.Wishes[r.IntN(len(h.Wishes))])
	}
	if h.Channel == "cloudbase" && r.IntN(20) == 0 {
		h.Failure = "http" // no refusal can be told from a failure
	}
	if r.IntN(8) == 0 { // each of these systems has another place that says which refund is meant
		h.fault(0, h.Heal, pick(r, 0.2, 0.5), "wire mixed")
	}
}

// overtakenPage: an order's refunds come to their ends while the answer to a
// question about all of them takes its time.
func overtakenPage(h *history, r *rand.Rand, f wish) {
	at := f.At + span(r, 3*time.Second, time.Minute)
	h.fault(at, at+8*time.Second, 0.5, "upstream:slow")
	for range 1 + r.IntN(3) {
		h.act(at+span(r, 0, 600*time.Millisecond), act{Do: pick(r, "query order", "query transaction"), No: f.No, Order: f.Order})
	}
	h.overtake(r, f, at+600*time.Millisecond)
}

// hintTemplate is what CloudBase's template passes on.
func hintTemplate(no, status string) []byte {
	return fmt.Appendf(nil, `{"event_type":"REFUND.%s","resource":{"out_refund_no":%q}}`, status, no)
}

// hintCloudPay is what CloudPay does.
func hintCloudPay(no, status string) []byte {
	return fmt.Appendf(nil, `{"returnCode":"SUCCESS","outRefundNo":%q,"refundStatus":%q}`, no, toV2(status))
}
