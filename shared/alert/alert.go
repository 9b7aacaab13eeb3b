package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"wxrefund/shared/deliver"
	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
)

// What is wrong with a setting. Neither text quotes it.
var (
	ErrAddress = errors.New("must be https addresses of robots or webhooks as their owners give them, or http on this machine")
	ErrSecret  = errors.New("must hold as many secrets as ALERT_URL has addresses, in their order, with - for a robot that has none: a WeCom robot never has one, and a webhook always has")
)

// New makes an alerter of an address, by its host, and its secret; "": it has none. The
// error is [ErrAddress] or [ErrSecret].
func New(client *http.Client, address, key string) (refund.Alerter, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Fragment != "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return refund.Alerter{}, ErrAddress
	}
	once := *client
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r := robot{client: &once, address: u, secret: secret.Text(key)}
	switch u.Host {
	case "qyapi.weixin.qq.com":
		if u.Path != "/cgi-bin/webhook/send" || u.Query().Get("key") == "" {
			return refund.Alerter{}, ErrAddress
		}
		if key != "" {
			return refund.Alerter{}, ErrSecret
		}
		return refund.Alerter{Name: name("wecom", address), PerMinute: 20, Apart: time.Second, Tell: r.wecom}, nil
	case "oapi.dingtalk.com":
		if u.Path != "/robot/send" || u.Query().Get("access_token") == "" {
			return refund.Alerter{}, ErrAddress
		}
		return refund.Alerter{Name: name("dingtalk", address), PerMinute: 20, Apart: time.Second, Tell: r.dingtalk}, nil
	case "open.feishu.cn", "open.larksuite.com":
		if !strings.HasPrefix(u.Path, "/open-apis/bot/v2/hook/") {
			return refund.Alerter{}, ErrAddress
		}
		return refund.Alerter{Name: name("feishu", address), PerMinute: 100, Apart: time.Second, Busy: feishuBusy, Tell: r.feishu}, nil
	}
	signer, err := deliver.ParseSecret(key)
	if err != nil {
		return refund.Alerter{}, ErrSecret
	}
	return refund.Alerter{Name: name("webhook", address), PerMinute: 60, Tell: func(ctx context.Context, a refund.Alert) error {
		body, err := json.Marshal(encode(a))
		if err != nil {
			return err
		}
		return deliver.Post(ctx, &once, address, a.ID, body, signer)
	}}, nil
}

// name tells one address from another, and gives none of it away.
func name(kind, address string) string {
	sum := sha256.Sum256([]byte(address))
	return kind + "-" + hex.EncodeToString(sum[:4])
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A body is what a webhook gets, in the form that Standard Webhooks recommends.
type body struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Text     string    `json:"text"` // what robots say
	MchID    string    `json:"mchid,omitempty"`
	SubMchID string    `json:"sub_mchid,omitempty"`
	Alarms   []alarm   `json:"alarms"`
	More     int       `json:"more"`
	Open     int       `json:"open"`
	Waiting  []waiting `json:"waiting,omitempty"`
}

type alarm struct {
	Code        string    `json:"alarm"`
	About       string    `json:"about"`
	OutRefundNo string    `json:"out_refund_no,omitempty"`
	State       string    `json:"state,omitempty"`
	Amount      *amount   `json:"amount,omitempty"`
	Why         string    `json:"why"`
	Since       time.Time `json:"since"`
	Count       int       `json:"count"`
}

type amount struct {
	Refund   int64  `json:"refund"`
	Currency string `json:"currency,omitempty"`
}

type waiting struct {
	Currency string `json:"currency,omitempty"`
	Refunds  int    `json:"refunds"`
	Amount   int64  `json:"amount"`
}

func encode(a refund.Alert) body {
	d := data{Text: text(a, plain), MchID: a.Merchant.MchID, SubMchID: a.Merchant.SubMchID, More: a.More, Open: a.Open}
	for _, o := range a.Alarms {
		e := alarm{Code: o.Code, About: o.About, OutRefundNo: o.OutRefundNo, State: string(o.State), Why: o.Why, Since: o.Since, Count: o.Count}
		if o.Amount != 0 {
			e.Amount = &amount{o.Amount, o.Currency}
		}
		d.Alarms = append(d.Alarms, e)
	}
	for _, w := range a.Waiting {
		d.Waiting = append(d.Waiting, waiting(w))
	}
	return body{Type: "refund.alarm", Timestamp: a.At, Data: d}
}
