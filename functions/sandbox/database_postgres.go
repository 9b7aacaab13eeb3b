//go:build postgres || !slim

package main

import (
	"errors"
	"io"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/pgsql"
)

// occasionally is how many calls of the database fail by themselves, where chance may.
const occasionally = 0.01

// openDatabase gives the CloudBase environment its database, if there is one. Errors do not
// show its URL.
func (o options) openDatabase(wechat *sandbox.Sandbox) (io.Closer, error) {
	if o.database == "" {
		return io.NopCloser(nil), nil
	}
	c := pgsql.Config{
		Database: o.database, Allow: wechat.Administrator, Seed: uint64(o.seed), // #nosec G115 -- any bits will do
		Fault: func() pgsql.Fault { return pgsql.Fault(wechat.DatabaseFault()) },
	}
	if o.hostile {
		c.Rate = occasionally
	}
	door, err := pgsql.New(c)
	if err != nil {
		return nil, errors.Join(errors.New("-cloudbase-db"), err)
	}
	wechat.SetDatabase(door)
	return door, nil
}
