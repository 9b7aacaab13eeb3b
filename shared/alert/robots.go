package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
)

// A robot of a chat group.
type robot struct {
	client  *http.Client
	address *url.URL // a secret: whoever knows it can write to the group
	secret  secret.Value[string]
}

// maxReply bounds what is read of a robot's answer, in bytes.
const maxReply = 16 << 10

func (r robot) wecom(ctx context.Context, a refund.Alert) error {
	return r.post(ctx, r.address, map[string]any{"msgtype": "markdown", "markdown": map[string]string{"content": text(a, quoted)}}, errcode, map[int]time.Duration{
		45009: time.Minute, // more than 20 messages a minute
	})
}

func (r robot) dingtalk(ctx context.Context, a refund.Alert) error {
	at := *r.address
	if key := r.secret.Reveal(); key != "" {
		q := at.Query()
		now := strconv.FormatInt(time.Now().UnixMilli(), 10)
		q.Set("timestamp", now)
		q.Set("sign", dingtalkSign(now, key))
		at.RawQuery = q.Encode()
	}
	silent := 10 * time.Minute // for which it takes nothing after more than 20 messages a minute
	return r.post(ctx, &at, map[string]any{"msgtype": "text", "text": map[string]string{"content": text(a, plain)}}, errcode, map[int]time.Duration{
		130101: silent, 410100: silent,
	})
}

// dingtalkSign signs a time in milliseconds, before it is encoded for the address.
func dingtalkSign(millis, key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(millis + "\n" + key))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (r robot) feishu(ctx context.Context, a refund.Alert) error {
	message := map[string]any{"msg_type": "text", "content": map[string]string{"text": text(a, plain)}}
	if key := r.secret.Reveal(); key != "" {
		now := strconv.FormatInt(time.Now().Unix(), 10)
		message["timestamp"], message["sign"] = now, feishuSign(now, key)
	}
	return r.post(ctx, r.address, message, feishuCode, map[int]time.Duration{
		11232: time.Minute, // too many at once: 100 a minute, 5 a second, or everybody's at the full hour
	})
}

// feishuSign signs a time in seconds. Time and secret are the key, and nothing is signed.
func feishuSign(seconds, key string) string {
	mac := hmac.New(sha256.New, []byte(seconds+"\n"+key))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// feishuBusy reports whether everybody's robots write just now: at full and half hours.
func feishuBusy(now time.Time) bool { return now.Minute()%30 == 0 }

// errcode reads the answer of WeCom's and DingTalk's robots; not ok: it is none.
func errcode(reply []byte) (code int, ok bool) {
	var answer struct {
		Errcode *int `json:"errcode"`
	}
	if json.Unmarshal(reply, &answer) != nil || answer.Errcode == nil {
		return 0, false
	}
	return *answer.Errcode, true
}

// feishuCode reads the answer of Feishu's robots, whose older ones say StatusCode.
func feishuCode(reply []byte) (code int, ok bool) {
	var answer struct {
		Code       *int `json:"code"`
		StatusCode *int `json:"StatusCode"`
	}
	if json.Unmarshal(reply, &answer) != nil {
		return 0, false
	}
	for _, c := range []*int{answer.Code, answer.StatusCode} {
		if c != nil {
			return *c, true
		}
	}
	return 0, false
}

// post sends a message. It has arrived only if the answer says so: robots refuse with HTTP
// 200. pauses says for how long which codes forbid the next.
func (r robot) post(ctx context.Context, at *url.URL, message any, read func([]byte) (int, bool), pauses map[int]time.Duration) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(message); err != nil {
		return errors.New("alert: the message cannot be encoded")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), &b)
	if err != nil {
		return errors.New("alert: the robot's address cannot be used")
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "wxrefund")
	resp, err := r.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // which leaves out the address
		}
		return fmt.Errorf("alert: the robot did not answer: %w", err)
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return fmt.Errorf("alert: the robot's answer broke off: %w", err)
	}
	code, ok := read(reply)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		return limited("HTTP 429", time.Minute)
	case pauses[code] > 0:
		return limited(strconv.Itoa(code), pauses[code])
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("alert: the robot answered HTTP %d", resp.StatusCode)
	case !ok:
		return errors.New("alert: the robot's answer says neither yes nor no")
	case code != 0:
		return fmt.Errorf("alert: the robot refused with code %d", code)
	}
	return nil
}

func limited(code string, pause time.Duration) error {
	return &refund.Error{Code: refund.CodeLimited, Next: refund.Later, Upstream: code, Message: "the robot takes no more messages for now", RetryAfter: pause}
}
