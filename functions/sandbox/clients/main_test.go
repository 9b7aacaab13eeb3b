// Package clients_test tries what others have written for WeChat Pay and CloudBase against
// the sandbox, as it is: refunds, queries, notifications and certificates, for each kind of
// merchant that it serves. A client that was written against the real hosts and works here
// is the best witness that the sandbox behaves as they do.
//
// A client does what its users do with it and says what came of it, in words that are the
// same for all of them; what must come of it stands in one table. It also has to refuse
// what is forged, since one that believes everything proves nothing.
package clients_test

import (
	"os"
	"testing"

	"wxrefund/shared/needs"
)

// TestMain ends with the line that lists what did not run.
func TestMain(m *testing.M) { os.Exit(needs.Main(m)) }
