package wxpay

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestWhatIsSealedOpens(t *testing.T) {
	k := newAPIv3Key(t)
	nonces := map[string]bool{}
	for _, plain := range [][]byte{nil, []byte("{}"), []byte("退款成功"), bytes.Repeat([]byte("x"), 70000)} {
		for _, associated := range []string{"", "refund", "certificate", "transaction"} {
			r, err := k.Seal("refund", associated, plain)
			if err != nil {
				t.Fatal(err)
			}
			if r.OriginalType != "refund" || r.Algorithm != "AEAD_AES_256_GCM" || r.AssociatedData != associated {
				t.Errorf("resource %+v", r)
			}
			if !regexp.MustCompile(`^[0-9A-Za-z_-]{12}$`).MatchString(r.Nonce) || nonces[r.Nonce] {
				t.Errorf("nonce %q is not 12 printable bytes, or it is there twice", r.Nonce)
			}
			nonces[r.Nonce] = true
			got, err := k.Open(r)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes with %q: got %d bytes, error %v", len(plain), associated, len(got), err)
			}
		}
	}
}

// One valid resource, one thing changed. None may panic, all are refused (threats C7).
func TestOpenRefusesAnyOneThingChanged(t *testing.T) {
	k := newAPIv3Key(t)
	valid, err := k.Seal("refund", "refund", []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Resource){
		"algorithm empty":               func(r *Resource) { r.Algorithm = "" },
		"algorithm of SM4":              func(r *Resource) { r.Algorithm = "AEAD_SM4_GCM" },
		"algorithm in lower case":       func(r *Resource) { r.Algorithm = strings.ToLower(r.Algorithm) },
		"ciphertext empty":              func(r *Resource) { r.Ciphertext = "" },
		"ciphertext not base64":         func(r *Resource) { r.Ciphertext = "not base64" },
		"ciphertext of 15 bytes":        func(r *Resource) { r.Ciphertext = b64.EncodeToString(make([]byte, 15)) },
		"ciphertext of 16 bytes":        func(r *Resource) { r.Ciphertext = b64.EncodeToString(make([]byte, 16)) },
		"ciphertext cut short":          func(r *Resource) { r.Ciphertext = r.Ciphertext[4:] },
		"another associated data":       func(r *Resource) { r.AssociatedData = "refunD" },
		"associated data absent":        func(r *Resource) { r.AssociatedData = "" },
		"associated data longer":        func(r *Resource) { r.AssociatedData += "\x00" },
		"border between nonce and data": func(r *Resource) { r.Nonce, r.AssociatedData = r.Nonce[:11], r.Nonce[11:]+r.AssociatedData },
	}
	for n := range 33 {
		if n != 0 {
			tests[fmt.Sprintf("nonce with %d bytes behind it", n)] = func(r *Resource) { r.Nonce += strings.Repeat("n", n) }
		}
		if n != 12 {
			tests[fmt.Sprintf("nonce of %d bytes", n)] = func(r *Resource) { r.Nonce = strings.Repeat("n", n) }
		}
	}
	for name, mutate := range tests {
		t.Run(name, func(t *testing.T) {
			r := valid
			mutate(&r)
			plain, err := k.Open(r)
			if !errors.Is(err, ErrOpen) || plain != nil {
				t.Errorf("%d bytes, error %v, want none and %v", len(plain), err, ErrOpen)
			}
			checkSecrets(t, "error", fmt.Sprint(err))
		})
	}
	other, _ := ParseAPIv3Key(strings.Repeat("k", 32))
	if _, err := other.Open(valid); !errors.Is(err, ErrOpen) {
		t.Errorf("another key: error %v, want %v", err, ErrOpen)
	}
	if _, err := (APIv3Key{}).Open(valid); !errors.Is(err, ErrOpen) {
		t.Errorf("the zero key: error %v, want %v", err, ErrOpen)
	}
	if _, err := (APIv3Key{}).Seal("", "", nil); err == nil {
		t.Error("the zero key seals")
	}
	// What comes next to be opened is not harmed by what was refused.
	if got, err := k.Open(valid); err != nil || string(got) != `{"a":1}` {
		t.Errorf("the valid one: %q, error %v", got, err)
	}
}

// Every bit of ciphertext, nonce and associated data, as they are written (threats C2).
func TestOpenRefusesEveryFlippedBit(t *testing.T) {
	k := newAPIv3Key(t)
	valid, err := k.Seal("refund", "refund", []byte(strings.Repeat("0123456789", 38)))
	if err != nil {
		t.Fatal(err)
	}
	flips := 0
	for name, part := range map[string]func(*Resource) *string{
		"algorithm":       func(r *Resource) *string { return &r.Algorithm },
		"ciphertext":      func(r *Resource) *string { return &r.Ciphertext },
		"nonce":           func(r *Resource) *string { return &r.Nonce },
		"associated_data": func(r *Resource) *string { return &r.AssociatedData },
	} {
		for bit := range len(*part(&valid)) * 8 {
			r := valid
			b := []byte(*part(&r))
			b[bit/8] ^= 1 << (bit % 8)
			*part(&r) = string(b)
			flips++
			if _, err := k.Open(r); !errors.Is(err, ErrOpen) {
				t.Errorf("bit %d of %s: error %v, want %v", bit, name, err, ErrOpen)
			}
		}
	}
	t.Logf("%d flips, none opened", flips)
}

func TestKeysHave32Bytes(t *testing.T) {
	for name, read := range map[string]func(string) (isZero bool, err error){
		"API key":   func(s string) (bool, error) { k, err := ParseAPIKey(s); return k == APIKey{}, err },
		"APIv3 key": func(s string) (bool, error) { k, err := ParseAPIv3Key(s); return k == APIv3Key{}, err },
	} {
		for n := range 66 {
			isZero, err := read(strings.Repeat("k", n))
			if (err == nil) != (n == 32) || err != nil && !errors.Is(err, ErrFormat) || isZero != (err != nil) {
				t.Errorf("%s of %d bytes: error %v", name, n, err)
			}
		}
		if _, err := read(strings.Repeat("密", 32)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s of 32 characters in 96 bytes: error %v, want %v", name, err, ErrFormat)
		}
		_, err := read(apiSecretText + "\n")
		checkSecrets(t, name, fmt.Sprint(err))
	}
}
