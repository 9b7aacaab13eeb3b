package sandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/wxpay"
)

// A test starts WeChat's side in its own process, tells it where notifications go, and
// points a client at it. The clock is moved by the control doors, so that a refund
// settles at once.
func Example() {
	// The merchant's notification URL. What comes is signed and sealed; see package notify.
	merchant := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n wxpay.Notification
		_ = json.NewDecoder(r.Body).Decode(&n)
		fmt.Println("notified of", n.EventType)
	}))
	defer merchant.Close()

	wechat, err := sandbox.New(sandbox.Config{Seed: 1, NotifyURL: merchant.URL})
	if err != nil {
		log.Fatal(err)
	}
	api := httptest.NewServer(wechat.WeChat())
	defer api.Close()
	control := httptest.NewServer(wechat.Control())
	defer control.Close()
	wechat.SetURLs(sandbox.URLs{WeChat: api.URL})

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- wechat.Run(ctx) }()
	defer func() { cancel(); <-ended }()

	// The settings of a function that is to use this sandbox; here its client is built by hand.
	settings, err := wechat.Settings("apiv3")
	if err != nil {
		log.Fatal(err)
	}
	key, err := wxpay.ParsePrivateKey(settings["WXPAY_PRIVATE_KEY"])
	if err != nil {
		log.Fatal(err)
	}
	signer := &wxpay.Signer{MchID: settings["WXPAY_MCHID"], SerialNo: settings["WXPAY_SERIAL_NO"], Key: key}

	post(control.URL+"/_sandbox/orders", `{"out_trade_no":"order-1","total":10000}`, nil)
	body := `{"out_trade_no":"order-1","out_refund_no":"refund-1","amount":{"refund":100,"total":10000,"currency":"CNY"}}`
	authorization, err := signer.Authorization("POST", "/v3/refund/domestic/refunds", []byte(body))
	if err != nil {
		log.Fatal(err)
	}
	refund := post(settings["WXPAY_BASE_URL"]+"/v3/refund/domestic/refunds", body, http.Header{"Authorization": {authorization}})
	fmt.Println(refund["out_refund_no"], "is", refund["status"])

	moved := post(control.URL+"/_sandbox/clock", `{"advance":"10m"}`, nil)
	fmt.Println(moved["settled"], "settled,", moved["sent"], "sent")
	// Output:
	// refund-1 is PROCESSING
	// notified of REFUND.SUCCESS
	// 1 settled, 1 sent
}

func post(url, body string, header http.Header) (out map[string]any) {
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"example"}}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil || response.StatusCode != http.StatusOK {
		log.Fatal(response.Status, out, err)
	}
	return out
}
