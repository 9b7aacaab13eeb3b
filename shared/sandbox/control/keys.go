package control

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"wxrefund/shared/sandbox/world"
)

// maxNotice bounds how long before their use new keys are shown.
const maxNotice = 30 * 24 * time.Hour

// postRotate names the new keys, of the kinds that the merchant has. They are used at
// once, or as long after as the body says, if there is one.
func (d *Door) postRotate(_ *http.Request, body []byte) (any, error) {
	in := struct {
		In string `json:"in"`
	}{"0s"}
	if len(bytes.TrimSpace(body)) > 0 {
		if err := read(rotateForm, body, &in); err != nil {
			return nil, err
		}
	}
	notice, err := time.ParseDuration(in.In)
	if err != nil || notice < 0 || notice > maxNotice {
		return nil, errors.New("/in must be a duration like 24h, of at most thirty days")
	}
	certificate, public, err := d.world.Rotate(notice)
	if err != nil {
		return nil, err
	}
	used := d.world.Now().Add(notice)
	return struct {
		PlatformSerial string `json:"platform_serial,omitempty"`
		PublicKeyID    string `json:"public_key_id,omitempty"`
		UsedFrom       string `json:"used_from"`
		OldUntil       string `json:"old_until"`
	}{certificate.Serial, public.Serial, world.Stamp(used), world.Stamp(used.Add(world.Overlap))}, nil
}

func (d *Door) getShare(*http.Request, []byte) (any, error) { return d.world.Share(), nil }

func (d *Door) postShare(_ *http.Request, body []byte) (any, error) {
	var in struct {
		Percent float64 `json:"percent"`
	}
	if err := read(shareForm, body, &in); err != nil {
		return nil, err
	}
	return d.world.SetShare(&in.Percent)
}

func (d *Door) deleteShare(*http.Request, []byte) (any, error) { return d.world.SetShare(nil) }
