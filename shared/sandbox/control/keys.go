package control

import (
	"net/http"

	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// postRotate names the new keys, of the kinds that the merchant has.
func (d *Door) postRotate(*http.Request, []byte) (any, error) {
	certificate, public, err := d.world.Rotate()
	if err != nil {
		return nil, err
	}
	return struct {
		PlatformSerial string `json:"platform_serial,omitempty"`
		PublicKeyID    string `json:"public_key_id,omitempty"`
		OldUntil       string `json:"old_until"`
	}{certificate.Serial, public.Serial, world.Stamp(d.world.Now().Add(world.Overlap))}, nil
}

var shareForm = schema.Schema{{Path: "/percent", Kind: schema.Fraction, Required: true, Max: 100}}

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
