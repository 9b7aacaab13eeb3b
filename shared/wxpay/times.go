package wxpay

import "time"

// beijing is the zone of times that WeChat Pay writes without one.
func beijing() *time.Location { return time.FixedZone("", 8*60*60) }

// RFC3339 writes a time as APIv3 does, whichever way WeChat Pay wrote it: in
// RFC 3339, which stays as it is, or as v2 does, in Beijing's time without a zone,
// with signs between the numbers or, in older answers, without. ok is false for
// anything else.
func RFC3339(text string) (at string, ok bool) {
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return text, true
	}
	for _, layout := range []string{time.DateTime, "20060102150405"} {
		if t, err := time.ParseInLocation(layout, text, beijing()); err == nil {
			return t.Format(time.RFC3339), true
		}
	}
	return "", false
}
