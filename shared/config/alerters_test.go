package config_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// Whom alarms are told is read from two lists of the same order, or what is wrong is named,
// and no address or secret with it.
func TestAlertersAreReadOrRefused(t *testing.T) {
	const (
		wecom = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=canary"
		ding  = "https://oapi.dingtalk.com/robot/send?access_token=canary"
		lark  = "https://open.larksuite.com/open-apis/bot/v2/hook/canary"
		shop  = "https://shop.example/alarms"
	)
	hook := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		url, secret string
		want        []string // kinds, in order
		says        string   // of the error; empty: there is none
	}{
		{"", "", nil, ""},
		{wecom, "", []string{"wecom"}, ""},
		{wecom, "-", []string{"wecom"}, ""},
		{wecom + " " + ding, "- SECa", []string{"wecom", "dingtalk"}, ""},
		{wecom + "," + ding + ", " + lark, "", []string{"wecom", "dingtalk", "feishu"}, ""},
		{shop + " " + lark, "whsec_" + hook + ",key", []string{"webhook", "feishu"}, ""},
		{"http://127.0.0.1:9/", hook, []string{"webhook"}, ""},
		{"", "SECcanary", nil, "ALERT_URL is missing beside ALERT_SECRET"},
		{shop, "", nil, "ALERT_SECRET must hold as many secrets"},
		{shop, "canary", nil, "ALERT_SECRET must hold as many secrets"},
		{wecom, "canary", nil, "ALERT_SECRET must hold as many secrets"},
		{wecom + " " + ding, "SECcanary", nil, "ALERT_SECRET must hold as many secrets"},
		{ding, "SECa SECb", nil, "ALERT_SECRET must hold as many secrets"},
		{"http://shop.example/canary", hook, nil, "ALERT_URL must be https addresses"},
		{"https://oapi.dingtalk.com/canary", "", nil, "ALERT_URL must be https addresses"},
		{ding + " " + ding, "", nil, "ALERT_URL names one address twice"},
		{strings.Repeat(ding+" ", 6), "", nil, "ALERT_URL must hold at most 5"},
	} {
		s := complete()
		s["ALERT_URL"], s["ALERT_SECRET"] = c.url, c.secret
		sys, err := load(t, s)
		if err != nil || c.says != "" {
			if err == nil || c.says == "" || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%q %q: %v, want %q", c.url, c.secret, err, c.says)
			}
			continue
		}
		var got []string
		for _, a := range sys.Refunds.Alerters {
			kind, _, _ := strings.Cut(a.Name, "-")
			got = append(got, kind)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.url, got, c.want)
		}
	}
}

// A refund waits for funds only where the merchant says so.
func TestRefundsWaitForFundsWhereTheSettingSaysSo(t *testing.T) {
	for value, want := range map[string]bool{"": false, "false": false, "true": true} {
		s := complete()
		s["REFUND_WAIT_FUNDS"] = value
		sys, err := load(t, s)
		if err != nil || sys.Refunds.WaitFunds != want {
			t.Errorf("%q: %v, want %v (%v)", value, sys.Refunds.WaitFunds, want, err)
		}
	}
	s := complete()
	s["REFUND_WAIT_FUNDS"] = "yes"
	if _, err := load(t, s); err == nil || !strings.Contains(err.Error(), "REFUND_WAIT_FUNDS must be one of true, false") {
		t.Errorf("%v", err)
	}
}
