//go:build scf || !slim

package host

import (
	"context"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
)

// useLibrary has scf-go-lib serve SCF's calls, which it does until the process ends.
func useLibrary() {
	scfPlatform[0].serve = func(_ context.Context, s *server, _ string) error {
		s.getenv = settingsOnly(s.getenv)
		cloudfunction.StartHandler(scfHandler{s})
		return nil
	}
}
