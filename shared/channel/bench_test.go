package channel_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// A refund over APIv3, from the request to the verified refund object, beside
// what no program can do without: one signature and one round trip to the same
// upstream on this machine.
func BenchmarkRefund(b *testing.B) {
	req := refund.Request{
		OutRefundNo: "R1", OutTradeNo: "O1", Reason: "商品已售完",
		Amount: refund.RequestAmount{Refund: 60, Total: 100, Currency: "CNY"},
	}
	// What the upstream needs for its own signature is not part of either.
	header := http.Header{"Content-Type": {"application/json"}}
	if err := (&wxpay.Platform{Serial: serial, Key: platformKey()}).Sign(header, []byte(object), time.Now()); err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		_, _ = io.WriteString(w, object)
	}))
	defer srv.Close()
	client := wxpay.NewHTTPClient(nil)
	ours := &channel.APIv3{NotifyURL: "https://shop.example/notify", Client: &wxpay.Client{
		Signer: &wxpay.Signer{MchID: "1900000109", SerialNo: "5157F09EFDC096DE15EBE81A47057A72", Key: merchantKey()},
		Keys:   wxpay.NewKeyring(map[string]*rsa.PublicKey{serial: &platformKey().PublicKey}, nil),
		HTTP:   client, Hosts: []string{srv.URL},
	}}
	body, err := json.Marshal(req)
	if err != nil {
		b.Fatal(err)
	}
	// In turn, so that whatever else the machine does strikes both alike.
	var took, floor []time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, err := ours.Refund(b.Context(), req); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if err := bareRefund(client, srv.URL, merchantKey(), body); err != nil {
			b.Fatal(err)
		}
		took, floor = append(took, between.Sub(begun)), append(floor, time.Since(between))
	}
	slices.Sort(took)
	slices.Sort(floor)
	ourMedian, floorMedian := took[len(took)/2], floor[len(floor)/2]
	b.ReportMetric(float64(ourMedian)/float64(floorMedian), "x-floor")
	b.ReportMetric(float64(ourMedian.Microseconds()), "µs-ours")
	b.ReportMetric(float64(floorMedian.Microseconds()), "µs-floor")
}

// bareRefund signs and sends, and believes whatever comes.
func bareRefund(client *http.Client, host string, key *rsa.PrivateKey, body []byte) error {
	const path = "/v3/refund/domestic/refunds"
	now, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	digest := sha256.Sum256([]byte("POST\n" + path + "\n" + now + "\n" + nonce + "\n" + string(body) + "\n"))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		return err
	}
	r, err := http.NewRequest(http.MethodPost, host+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="1900000109",nonce_str="%s",signature="%s",timestamp="%s",serial_no="x"`,
		nonce, base64.StdEncoding.EncodeToString(sig), now))
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
