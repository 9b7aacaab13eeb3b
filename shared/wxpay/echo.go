package wxpay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// echoURI asks WeChat Pay to say a message back, signed (doc/v3/merchant/4014551946 for
// direct merchants, doc/v3/partner/4015139289 for service providers).
const echoURI = "/v3/security/echo"

// Echo has WeChat Pay say a message back, which moves nothing. Nil says that both sides
// know each other's keys: it has verified our signature, and its reply verifies with the
// key that it was asked to sign with, see [Keyring.Preferred]. The errors are those of
// [Client.Do], [*Refusal], and [ErrFormat] for an answer that is not the message.
func (c *Client) Echo(ctx context.Context) error {
	message := rand.Text()
	body, err := json.Marshal(map[string]string{"echo_message": message})
	if err != nil {
		return err
	}
	r, err := c.Do(ctx, http.MethodPost, echoURI, body)
	if err != nil {
		return err
	}
	if r.Status != http.StatusOK {
		return newRefusal("echo", r)
	}
	var answer struct {
		Message string `json:"echo_message"`
	}
	if err := decodeJSON(r.Body, &answer, "echo"); err != nil {
		return err
	}
	if answer.Message != message {
		return fmt.Errorf("%w echo: it is not the message that was sent", ErrFormat)
	}
	return nil
}

// A Refusal is a reply by which WeChat Pay says no to one of this package's own calls,
// those of [Client.Certificates] and [Client.Echo].
type Refusal struct {
	Status   int    // HTTP status
	Code     string // WeChat Pay's own, such as SIGN_ERROR; "": none that can be read
	Message  string // WeChat Pay's words, bounded and on one line; for people, not to decide by
	Field    string // what it is about, such as signature; "": not said
	Verified bool   // WeChat Pay has signed it; else anybody on the way could have written it

	call string
}

// Error leaves WeChat Pay's words out: nobody has vouched for them.
func (r *Refusal) Error() string {
	code := r.Code
	if code == "" {
		code = "no error code"
	}
	return fmt.Sprintf("wxpay: %s refused with status %d: %s", r.call, r.Status, code)
}

// maxWords bounds the words of a refusal, in characters.
const maxWords = 200

func newRefusal(call string, r Reply) *Refusal {
	var e struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  struct {
			Field string `json:"field"`
		} `json:"detail"`
	}
	out := &Refusal{Status: r.Status, Verified: r.Verified, call: call}
	if json.Unmarshal(r.Body, &e) != nil { // detail may also be a text: then there is no field, and the rest is there
		e.Detail.Field = ""
	}
	if isToken(e.Code) {
		out.Code = e.Code
	}
	if isToken(e.Detail.Field) {
		out.Field = e.Detail.Field
	}
	out.Message = oneLine(e.Message)
	return out
}

// oneLine keeps words fit to be shown: bounded, on one line, nothing that moves a cursor.
func oneLine(s string) string {
	words := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	return string(words[:min(len(words), maxWords)])
}
