//go:build lambda || !slim

package host

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"wxrefund/shared/refund"
)

var lambdaPlatform = []platform{{"AWS Lambda", "AWS_LAMBDA_RUNTIME_API", serveLambda}}

// serveLambda serves invocations of AWS Lambda. The library offers no way to stop
// it: it ends with the process.
func serveLambda(ctx context.Context, s *server, _ string) error {
	go s.prepare(ctx)
	lambda.Start(lambdaHandler{s})
	return nil
}

type lambdaHandler struct{ *server }

// Invoke answers one invocation. Whoever may invoke a function directly was let in
// by IAM, and is a server.
func (h lambdaHandler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	r := request{credentials: readCredentials(h.getenv)}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.id = lc.AwsRequestID
	}
	ctx, cancel := r.begin(ctx)
	defer cancel()
	return h.event(ctx, func(Identity) refund.Caller { return invoker }, event), nil
}
