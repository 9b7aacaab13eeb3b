package deliver

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
)

// A Secret signs webhooks.
type Secret = secret.Value[*standardwebhooks.Webhook]

// The sizes of a secret that Standard Webhooks asks for, in bytes.
const minSecret, maxSecret = 24, 64

// ParseSecret reads a secret as Standard Webhooks writes it: base64, with or
// without whsec_ before it.
func ParseSecret(text string) (Secret, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	if err != nil || len(raw) < minSecret || len(raw) > maxSecret {
		return Secret{}, fmt.Errorf("deliver: a webhook's secret must be base64 of %d to %d bytes", minSecret, maxSecret)
	}
	signer, err := standardwebhooks.NewWebhookRaw(raw)
	return secret.Hide(signer), err
}

// maxReply bounds what is read of a receiver's answer, in bytes.
const maxReply = 64 << 10

// Webhook delivers to url by POST what functions get, signed as Standard Webhooks
// (standardwebhooks.com) says: webhook-id is the event's, the same at every attempt.
// It is signed with each of the keys, so that whoever verifies with either takes it
// while the one is changed for the other. The receiver has taken it if it answers
// with a status of 200 to 299.
func Webhook(client *http.Client, url string, keys ...Secret) refund.Subscriber {
	return refund.Subscriber{Name: "webhook", Tell: func(ctx context.Context, e refund.Event) error {
		body, err := Encode(e)
		if err != nil {
			return err
		}
		return Post(ctx, client, url, e.ID, body, keys...)
	}}
}

// Post sends a JSON text to url as [Webhook] does, under an id.
func Post(ctx context.Context, client *http.Client, url, id string, body []byte, keys ...Secret) error {
	now := time.Now()
	var signatures []string
	for _, key := range keys {
		s, err := key.Reveal().Sign(id, now, body)
		if err != nil {
			return errors.New("deliver: the webhook cannot be signed")
		}
		signatures = append(signatures, s)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return errors.New("deliver: the webhook's address cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "wxrefund")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", strings.Join(signatures, " "))
	resp, err := client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*neturl.Error](err); ok {
			err = u.Err // the address may be known to its owner alone
		}
		return fmt.Errorf("deliver: the webhook's receiver did not answer: %w", err)
	}
	defer resp.Body.Close()
	// Read so that the connection can be used again; what it says does not matter.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("deliver: the webhook's receiver answered %d", resp.StatusCode)
	}
	return nil
}
