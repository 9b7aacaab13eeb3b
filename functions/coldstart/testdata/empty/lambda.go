//go:build lambda

package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

type handler struct{}

func (handler) Invoke(context.Context, []byte) ([]byte, error) { return []byte(reply), nil }

func main() { lambda.Start(handler{}) }
