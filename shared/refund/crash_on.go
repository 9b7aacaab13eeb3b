//go:build crashpoints

package refund

import (
	"os"
	"syscall"
)

// crash kills the process, as nothing can catch it, where CRASH_AT says so. Only
// the crash tests build it, with the tag crashpoints.
func crash(point string) {
	if os.Getenv("CRASH_AT") == point {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal arrives
	}
}
