package clients_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/credential"
	"github.com/silenceper/wechat/v2/util"

	"wxrefund/shared/sandbox/sandboxtest"
)

// silenceper fetches and keeps WeCom's tokens. It knows no calls of 对外收款, so it makes
// them with what it makes all its calls. Its host is fixed; the addresses that it makes of
// it can be changed, for the whole program.
func silenceper(s *stage, _ *sandboxtest.Receiver) {
	tokens := 0 // of one client that makes one call after the other
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == sandboxtest.AccessPath {
			tokens++
		}
		s.Sandbox.WeChat().ServeHTTP(w, r)
	}))
	defer server.Close()
	const host = "https://qyapi.weixin.qq.com"
	util.SetURIModifier(func(uri string) string { return server.URL + strings.TrimPrefix(uri, host) })
	defer util.SetURIModifier(nil)

	token := func(secret string) (string, error) {
		return credential.NewWorkAccessToken(s.credentials["corpid"], secret, "", credential.CacheKeyWorkPrefix, cache.NewMemory()).GetAccessToken()
	}
	kept := credential.NewWorkAccessToken(s.credentials["corpid"], s.credentials["corpsecret"], "", credential.CacheKeyWorkPrefix, cache.NewMemory())
	type refund struct {
		util.CommonError
		OutRefundNo string `json:"out_refund_no"`
		Status      string `json:"status"`
		TradeState  string `json:"trade_state"`
		Payer       struct {
			OpenID string `json:"openid"`
		} `json:"payer"`
		Amount struct {
			Refund   int64  `json:"refund"`
			Total    int64  `json:"total"`
			Currency string `json:"currency"`
		} `json:"amount"`
	}
	post := func(path, token string, body map[string]any) (out refund, err error) {
		answer, err := util.PostJSONContext(s.t.Context(), host+path+"?access_token="+token, body)
		if err == nil {
			err = util.DecodeWithError(answer, &out, path)
		}
		return out, err
	}
	call := func(path string, body map[string]any) (refund, error) {
		token, err := kept.GetAccessTokenContext(s.t.Context())
		if err != nil {
			return refund{}, err
		}
		return post(path, token, body)
	}
	// What WeCom refuses reaches the client as an error of its own kind.
	refused := func(err error) string {
		if no := new(util.CommonError); errors.As(err, &no) && no.ErrCode != 0 && no.ErrMsg != "" {
			return fmt.Sprint(no.ErrCode)
		}
		return err.Error()
	}

	s.Order("T00001") // WeCom's numbers have six characters or more
	mchid := s.credentials["mchid"]
	ask := map[string]any{
		"mchid": mchid, "appid": s.credentials["appid"], "out_trade_no": "T00001", "out_refund_no": "R_1-|*@", "reason": "<商品> & 已售完",
		"amount": map[string]any{"refund": 888, "total": 10000, "currency": "CNY"},
	}
	s.attempt("refund", func() (string, error) {
		made, err := call(sandboxtest.WeComPath, ask)
		return fmt.Sprint(made.OutRefundNo, " ", made.Amount.Refund, " ", made.Amount.Currency), err
	}, refused)
	s.attempt("refund, with another token", func() (string, error) {
		made, err := post(sandboxtest.WeComPath, "nobodys", ask)
		return made.OutRefundNo, err
	}, refused)
	s.Control("POST", "/_sandbox/refunds/R_1-%7C*@/settle", `{"status":"SUCCESS"}`, 200)
	for check, number := range map[string]any{"": "R_1-|*@", ", unknown": "R0", ", of a number that is none": 1} {
		s.attempt("query"+check, func() (string, error) {
			found, err := call(sandboxtest.DetailPath, map[string]any{"mchid": mchid, "out_refund_no": number})
			return fmt.Sprint(found.Status, " ", found.Amount.Refund), err
		}, refused)
	}
	s.Pay(`{"out_trade_no":"O00001","total":10000,"openid":"oBuyer"}`)
	for check, number := range map[string]string{"": "O00001", ", unknown": "O00000"} {
		s.attempt("order"+check, func() (string, error) {
			found, err := call("/cgi-bin/miniapppay/get_order", map[string]any{"mchid": mchid, "out_trade_no": number})
			return paidOrder{found.TradeState, found.Payer.OpenID, found.Amount.Total}.String(), err
		}, refused)
	}
	s.outcomes["tokens"] = fmt.Sprint(tokens)
	s.attempt("token, with another secret", func() (string, error) { return token("wrong") }, func(err error) string {
		return regexp.MustCompile(`errcode=\d+`).FindString(err.Error())
	})
}
