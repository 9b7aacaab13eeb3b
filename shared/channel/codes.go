package channel

import (
	"maps"
	"slices"
	"strconv"

	"wxrefund/shared/refund"
)

// A KnownCode is an upstream's error code to which a channel's table gives a meaning.
type KnownCode struct {
	Code string // the upstream's own
	Is   refund.Code
	Next refund.Next
}

// KnownCodes lists the error codes in a channel's tables, sorted; nil for a channel that
// there is not. Whatever else an upstream answers leaves the outcome unknown.
func KnownCodes(channel string) []KnownCode {
	table := map[string]meaning{}
	switch channel {
	case "apiv3", "cloudbase":
		table = apiv3OrderErrors()
		maps.Copy(table, billErrors())
	case "cloudpay", "global":
		for code, m := range v2Errors() {
			table[code] = m.meaning
		}
	case "wecom":
		for code, m := range wecomErrors() {
			table[strconv.Itoa(code)] = m
		}
	}
	var known []KnownCode
	for _, code := range slices.Sorted(maps.Keys(table)) {
		known = append(known, KnownCode{code, table[code].code, table[code].next})
	}
	return known
}
