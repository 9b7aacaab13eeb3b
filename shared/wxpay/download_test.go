package wxpay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDownloadSignsPathAndQueryAndBelievesNoSignature(t *testing.T) {
	file := validBill()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := ParseAuthorization(r.Header.Get("Authorization"))
		if err != nil {
			t.Error(err)
		}
		if err := c.Verify(&merchantKey().PublicKey, r.Method, r.RequestURI, nil, time.Now()); err != nil || r.RequestURI != "/v3/billdownload/file?token=a%2Fb&tartype=gzip" {
			t.Errorf("%s, signature %v", r.RequestURI, err)
		}
		w.Write(file) // unsigned
	})
	var got bytes.Buffer
	r, err := newClient(s.URL).Download(t.Context(), s.URL+"/v3/billdownload/file?token=a%2Fb&tartype=gzip", &got, 1<<20)
	if err != nil || r.Status != 200 || !bytes.Equal(got.Bytes(), file) {
		t.Errorf("reply %+v of %d bytes, error %v", r, got.Len(), err)
	}
}

func TestDownloadGoesNowhereElse(t *testing.T) {
	var asked atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	other := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	host := strings.TrimPrefix(s.URL, "http://")
	for _, u := range []string{
		"", "/v3/billdownload/file?token=x", other.URL + "/v3/billdownload/file?token=x", "https://" + host + "/v3/billdownload/file?token=x",
		"http://" + host + "@evil.example/v3/billdownload/file", "http://user@" + host + "/v3/billdownload/file", s.URL + ".evil.example/v3/billdownload/file",
		s.URL + "/v3/refund/domestic/refunds", s.URL + "/v3/billdownload", s.URL + "/v3/billdownload/../refund/domestic/refunds", s.URL + "/v3/billdownload/%2e%2e/x",
		s.URL + "/v3/billdownload/a%2f..%2fb", s.URL + "/v3/billdownload//x", s.URL + "/v3/billdownload/file#x", "http:" + host + "/v3/billdownload/file", "://",
	} {
		_, err := newClient(s.URL).Download(t.Context(), u, io.Discard, 1<<20)
		if !errors.Is(err, ErrElsewhere) || strings.Contains(err.Error(), "token") {
			t.Errorf("%s: error %v", u, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests were sent", asked.Load())
	}
}

func TestDownloadFollowsNoRedirectAndKeepsErrorsApart(t *testing.T) {
	var elsewhere atomic.Int32
	other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		status int
		err    error
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }, 302, nil},
		"expired":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"code":"INVALID_REQUEST"}`, 400) }, 400, nil},
		"too long": {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1001)) }, 0, ErrTooLarge},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(900))
			w.Write(make([]byte, 100))
		}, 0, io.ErrUnexpectedEOF},
	} {
		s := serve(t, tt.answer)
		var got bytes.Buffer
		r, err := newClient(s.URL).Download(t.Context(), s.URL+"/v3/billdownload/file", &got, 1000)
		if r.Status != tt.status || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) || tt.status > 0 && got.Len() > 0 {
			t.Errorf("%s: status %d, error %v, %d bytes written", name, r.Status, err, got.Len())
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// A slowBody yields a byte each interval until its request ends.
type slowBody struct {
	ctx   context.Context
	every time.Duration
	left  int
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, io.EOF
	}
	select {
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	case <-time.After(b.every):
		return copy(p, "x"), nil
	}
}

func (*slowBody) Close() error { return nil }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestADownloadIsLongButNeverIdle(t *testing.T) {
	for _, tt := range []struct {
		every time.Duration
		bytes int
		takes time.Duration
		want  error
	}{
		{20 * time.Second, 20, 400 * time.Second, nil},
		{31 * time.Second, 1, fetchIdle, errIdle},
		{20 * time.Second, 100, fetchTime, context.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: &slowBody{r.Context(), tt.every, tt.bytes}, Request: r}, nil
			})}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example", nil)
			before := time.Now()
			_, err := Fetch(client, req, io.Discard, 1000)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || time.Since(before) != tt.takes {
				t.Errorf("every %s: error %v after %s, want %v after %s", tt.every, err, time.Since(before), tt.want, tt.takes)
			}
		})
	}
}

func TestABillTicketTellsAHash(t *testing.T) {
	valid := `{"hash_type":"SHA1","hash_value":"79BB0F45FC4C42234A918000B2668D689E2BDE04","download_url":"https://api.mch.weixin.qq.com/v3/billdownload/file?token=x"}`
	got, err := ParseBillTicket([]byte(valid))
	if err != nil || got != (BillTicket{HashType: "SHA1", HashValue: "79bb0f45fc4c42234a918000b2668d689e2bde04", URL: "https://api.mch.weixin.qq.com/v3/billdownload/file?token=x"}) {
		t.Errorf("%+v, error %v", got, err)
	}
	for old, new := range map[string]string{
		`"SHA1"`: `"MD5"`, `79BB0F`: `79BB0`, `BDE04`: `BDE0g`, `"download_url"`: `"url"`, `{`: `[`, `"79BB`: `79,"x":"`,
	} {
		if got, err := ParseBillTicket([]byte(strings.Replace(valid, old, new, 1))); !errors.Is(err, ErrFormat) {
			t.Errorf("with %s: %+v, error %v", new, got, err)
		}
	}
}

// FuzzParseBillTicket: a ticket that is read tells a hash, and its URL leads nowhere but to
// bills of the one host.
func FuzzParseBillTicket(f *testing.F) {
	f.Add([]byte(`{"hash_type":"SHA1","hash_value":"79bb0f45fc4c42234a918000b2668d689e2bde04","download_url":"https://a.example/v3/billdownload/file?token=x","auth":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ticket, err := ParseBillTicket(body)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		if n := len(ticket.HashValue); n != 40 && n != 64 {
			t.Fatalf("%+v", ticket)
		}
		if u, err := CheckBillURL(ticket.URL, []string{"https://a.example"}); err == nil {
			if !strings.HasPrefix(u.String(), "https://a.example/v3/billdownload/") {
				t.Fatal(u)
			}
		} else if !errors.Is(err, ErrElsewhere) {
			t.Fatal(err)
		}
	})
}
