package config_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// With CLOUDBASE_APIKEY, and no pair beside it, the module and CloudPay refund and functions
// are told, over a socket: all that HTTP functions and CloudRun have. Another key is refused,
// by the gateway and for good; it is in no error.
func TestAKeyOfTheEnvironmentIsEnoughForTheGateway(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Subscribers = true })
	var mu sync.Mutex
	var headers []string
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		headers = append(headers, r.Header.Get("Authorization"))
		mu.Unlock()
		w.Sandbox.WeChat().ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.Sandbox.SetURLs(sandbox.URLs{WeChat: server.URL, Notify: "http://127.0.0.1:8700/notify"})
	right := sandboxtest.Keys().CloudBaseKey.Reveal()
	for _, channel := range []string{"cloudbase", "cloudpay"} {
		for name, key := range map[string]string{"right": right, "wrong": right[:len(right)-1] + "~", "none": ""} {
			t.Run(channel+", "+name, func(t *testing.T) {
				s := w.SettingsOf(channel)
				delete(s, "TENCENTCLOUD_SECRETID")
				delete(s, "TENCENTCLOUD_SECRETKEY")
				s["CLOUDBASE_APIKEY"], s["LEDGER_URL"], s["NOTIFY_FUNCTIONS"], s["REFUND_PACE"] = key, "sqlite::memory:", "scf:goodSubscriber", "0s"
				sys, err := load(t, s)
				if err != nil {
					t.Fatal(err)
				}
				headers = nil
				order := "T-" + channel + "-" + name
				w.Order(order)
				got, err := sys.Refunds.Refund(t.Context(), refund.Caller{Kind: refund.Server}, refund.Request{
					OutRefundNo: "R-" + channel + "-" + name, OutTradeNo: order, Amount: refund.RequestAmount{Refund: 100, Total: 10000, Currency: "CNY"},
				})
				told := sys.Refunds.Subscribers[0].Tell(t.Context(), refund.Event{
					ID: "refund-0123456789abcdef01234567", Status: refund.StatusSuccess, Merchant: refund.Merchant{MchID: "1900000109"},
					Refund: refund.Refund{OutRefundNo: "R1", OutTradeNo: "T1", Status: refund.StatusSuccess, Amount: refund.Amount{Total: 100, Refund: 100, Currency: "CNY"}},
				})
				list := string(w.Control("GET", "/_sandbox/refunds", "", 200).Body)
				made := strings.Contains(list, `"R-`+channel+"-"+name+`"`)
				if key == right {
					if err != nil || told != nil || !made || got.OutRefundNo == "" {
						t.Errorf("refund %+v, error %v, made %v; told: %v", got, err, made, told)
					}
				} else {
					if err == nil || told == nil || made {
						t.Errorf("refund %+v, error %v, made %v; told: %v", got, err, made, told)
					}
					if text := errors.Join(err, told).Error(); key != "" && strings.Contains(text, key) {
						t.Errorf("the key is in the error: %s", text)
					}
				}
				want := "Bearer " + key
				if key == "" && len(headers) > 0 || key != "" && (len(headers) == 0 || slices.ContainsFunc(headers, func(h string) bool { return h != want })) {
					t.Errorf("%d calls, not all of them (or any) by the key", len(headers))
				}
			})
		}
	}
}
