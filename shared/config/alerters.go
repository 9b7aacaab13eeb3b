package config

import (
	"errors"
	"slices"
	"strings"

	"wxrefund/shared/alert"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// maxAlerters bounds how many are told of alarms.
const maxAlerters = 5

// alerters are told of alarms. Their secrets are listed in the order of their addresses,
// with - for those that have none.
func alerters(r *reader) []refund.Alerter {
	const name, secretName = "ALERT_URL", "ALERT_SECRET"
	list := func(name string) []string {
		return strings.FieldsFunc(r.get(name), func(c rune) bool { return c == ',' || c == ' ' })
	}
	addresses, secrets := list(name), list(secretName)
	switch {
	case len(addresses) == 0 && len(secrets) > 0:
		r.problem(name, "is missing beside "+secretName)
		return nil
	case len(addresses) > maxAlerters:
		r.problem(name, "must hold at most 5 addresses")
		return nil
	case len(secrets) > 0 && len(secrets) != len(addresses):
		r.problem(secretName, alert.ErrSecret.Error())
		return nil
	}
	var all []refund.Alerter
	for i, address := range addresses {
		key := ""
		if len(secrets) > 0 && secrets[i] != "-" {
			key = secrets[i]
		}
		a, err := alert.New(wxpay.NewHTTPClient(nil), address, key)
		switch {
		case errors.Is(err, alert.ErrSecret):
			r.problem(secretName, err.Error())
		case err != nil:
			r.problem(name, err.Error())
		case slices.ContainsFunc(all, func(b refund.Alerter) bool { return b.Name == a.Name }):
			r.problem(name, "names one address twice")
		default:
			all = append(all, a)
		}
	}
	return all
}
