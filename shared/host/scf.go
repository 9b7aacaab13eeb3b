//go:build scf || !slim

package host

import (
	"context"
	"time"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
	"github.com/tencentyun/scf-go-lib/functioncontext"

	"wxrefund/shared/refund"
)

var scfPlatform = []platform{{"SCF", "_LAMBDA_SERVER_PORT", serveSCF}}

// serveSCF serves invocations of SCF and CloudBase. The library offers no way to
// stop it: it ends with the process.
func serveSCF(_ context.Context, s *server, _ string) error {
	s.getenv = settingsOnly(s.getenv)
	cloudfunction.StartHandler(scfHandler{s})
	return nil
}

type scfHandler struct{ *server }

// Invoke answers one invocation. Who called and with what credentials is read from
// the context that came with it, never from the process environment, where the
// library leaves the variables of earlier requests and of concurrent ones.
func (h scfHandler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	fc, ok := functioncontext.FromContext(ctx)
	if !ok {
		fc = &functioncontext.FunctionContext{}
	}
	get := func(name string) string { return fc.Environment[name] }
	who := func(id Identity) refund.Caller {
		if !ok { // the library always has one; without it, nothing attests a server
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
