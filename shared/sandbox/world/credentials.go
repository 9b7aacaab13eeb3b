package world

import (
	"slices"

	"wxrefund/shared/wxpay"
)

// Credentials are everything that the merchant and its functions know. Of a kind of
// WeChat Pay's keys that the merchant does not have the fields are empty.
type Credentials struct {
	AppID          string `json:"appid"`
	MchID          string `json:"mchid"`
	SubMchID       string `json:"sub_mchid"`
	SerialNo       string `json:"serial_no"`
	PrivateKey     string `json:"private_key"`
	APIv3Key       string `json:"apiv3_key"`
	PublicKeyID    string `json:"public_key_id"`
	PublicKey      string `json:"public_key"`
	APIKey         string `json:"api_key"`
	ClientCert     string `json:"client_cert"`
	ClientKey      string `json:"client_key"`
	CACert         string `json:"ca_cert"`
	PlatformSerial string `json:"platform_serial"`
	PlatformCert   string `json:"platform_cert"`
	CorpID         string `json:"corpid"`
	CorpSecret     string `json:"corpsecret"`
	SecretID       string `json:"secret_id"`
	SecretKey      string `json:"secret_key"`
	EnvID          string `json:"env_id"`
	CloudBaseKey   string `json:"cloudbase_apikey"`

	// The newest public key and, while that is valid, the one before it: what a
	// merchant knows while WeChat Pay signs with either.
	PublicKeyIDs []string `json:"-"`
	PublicKeys   []string `json:"-"` // PEM, in the same order
}

// Credentials returns them, with the newest keys of WeChat Pay.
func (w *World) Credentials() (Credentials, error) {
	certificates, publics := w.PlatformKeys()
	k := w.Keys
	private, err := privatePEM(k.Merchant.RSA())
	if err != nil {
		return Credentials{}, err
	}
	var ids, keys []string
	for _, public := range slices.Backward(publics[max(0, len(publics)-2):]) {
		key, err := publicPEM(&public.Key.PublicKey)
		if err != nil {
			return Credentials{}, err
		}
		ids, keys = append(ids, public.Serial), append(keys, key)
	}
	out := Credentials{
		AppID: AppID, MchID: MchID, SubMchID: SubMchID,
		SerialNo: wxpay.SerialNo(k.Merchant.Cert), PrivateKey: private, APIv3Key: k.apiV3Text.Reveal(),
		PublicKeyIDs: ids, PublicKeys: keys, APIKey: k.apiText.Reveal(),
		// The API certificate is the client certificate too.
		ClientCert: k.Merchant.certPEM(), ClientKey: private, CACert: k.ca.certPEM(),
		CorpID: k.CorpID, CorpSecret: k.CorpSecret.Reveal(), SecretID: k.SecretID, SecretKey: k.SecretKey.Reveal(), EnvID: k.EnvID,
		CloudBaseKey: k.CloudBaseKey.Reveal(),
	}
	if len(ids) > 0 {
		out.PublicKeyID, out.PublicKey = ids[0], keys[0]
	}
	if n := len(certificates); n > 0 {
		out.PlatformSerial, out.PlatformCert = certificates[n-1].Serial, certificates[n-1].Cert
	}
	return out, nil
}
