package schema

import "regexp"

// The forms of the documents. That of URLs is as WeChat Pay quotes it in its
// errors: no query, no fragment.
var (
	FormNumber   = regexp.MustCompile(`^[0-9a-zA-Z_\-\|\*\@]+$`)
	FormDigits   = regexp.MustCompile(`^[0-9]+$`)
	FormCurrency = regexp.MustCompile(`^[A-Z]{3}$`)
	FormURL      = regexp.MustCompile(`^https?://([^\s/?#\[\]\@]+\@)?([^\s/?#\@:]+)(?::\d{2,5})?([^\s?#\[\]]*)$`)
)
