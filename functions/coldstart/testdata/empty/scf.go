//go:build scf

package main

import (
	"context"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
)

type handler struct{}

func (handler) Invoke(context.Context, []byte) ([]byte, error) { return []byte(reply), nil }

func main() { cloudfunction.StartHandler(handler{}) }
