//go:build scf || !slim

package host

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/tencentyun/scf-go-lib/cloudfunction/messages"
	"github.com/tencentyun/scf-go-lib/functioncontext"

	"wxrefund/shared/refund"
)

var scfPlatform = []platform{{"SCF", "_LAMBDA_SERVER_PORT", serveSCF}}

// serveSCF serves invocations of SCF and CloudBase until the process ends.
func serveSCF(ctx context.Context, s *server, port string) error {
	s.getenv = settingsOnly(s.getenv)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "0.0.0.0:"+port)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go serveSCFCalls(conn, scfHandler{s}.answer)
	}
}

type scfHandler struct{ *server }

// answer does what the library does with a request: it hands on what the platform says of
// it, and leaves its variables in the process environment, where the settings are that SCF
// brings only with the first request.
func (h scfHandler) answer(req *messages.InvokeRequest) (res *messages.InvokeResponse) {
	defer func() { // what a function panics with is answered before it comes here
		if p := recover(); p != nil {
			h.log.Error("panic", "request_id", req.RequestId, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			res = platformError(failed, "panic")
		}
	}()
	fc := &functioncontext.FunctionContext{RequestID: req.RequestId, TimeLimitInMs: req.TimeLimitInMs}
	if req.Environment != "" {
		if err := json.Unmarshal([]byte(req.Environment), &fc.Environment); err != nil {
			return platformError(err.Error(), fmt.Sprintf("%T", err))
		}
		for name, value := range fc.Environment {
			_ = os.Setenv(name, value) // fails for what no variable can be called, which nobody reads then
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(req.Deadline.Seconds, req.Deadline.Nanos))
	defer cancel()
	reply, err := h.Invoke(functioncontext.NewContext(ctx, fc), req.Payload)
	if err != nil {
		return platformError(err.Error(), fmt.Sprintf("%T", err))
	}
	return &messages.InvokeResponse{Payload: reply}
}

func platformError(message, kind string) *messages.InvokeResponse {
	return &messages.InvokeResponse{Error: &messages.InvokeResponse_Error{Message: message, Type: kind}}
}

// Invoke answers one invocation. Who called and with what credentials is read from
// the context that came with it, never from the process environment, where the
// variables of earlier requests are, and of concurrent ones.
func (h scfHandler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	fc, ok := functioncontext.FromContext(ctx)
	if !ok {
		fc = &functioncontext.FunctionContext{}
	}
	get := func(name string) string { return fc.Environment[name] }
	who := func(id Identity) refund.Caller {
		if !ok { // there always is one; without it, nothing attests a server
			return refund.Caller{}
		}
		return as(id.Platform(get("WX_OPENID"), get("TCB_SOURCE")), appID(get))
	}

	ctx, cancel := request{
		id:          fc.RequestID,
		limit:       time.Duration(fc.TimeLimitInMs) * time.Millisecond,
		credentials: readCredentials(get),
	}.begin(ctx)
	defer cancel()
	return h.event(ctx, who, event), nil
}
