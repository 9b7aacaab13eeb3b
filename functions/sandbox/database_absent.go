//go:build slim && !postgres

package main

import (
	"errors"
	"io"

	"wxrefund/shared/sandbox"
)

// openDatabase opens none: the driver of PostgreSQL would be a third of an image that
// nobody runs for it.
func (o options) openDatabase(*sandbox.Sandbox) (io.Closer, error) {
	if o.database != "" {
		return nil, errors.New("-cloudbase-db is not in this build, the image's for one: go run ./functions/sandbox has it")
	}
	return io.NopCloser(nil), nil
}
