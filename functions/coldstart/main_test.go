package coldstart_test

import (
	"testing"

	"wxrefund/functions/process"
)

func TestMain(m *testing.M) { process.Main(m) }
