// Package host runs a handler wherever it was deployed.
//
// A deployable is one [Function]: bytes in, bytes out, and perhaps an HTTP
// handler. [Run] finds out from the environment which platform it is on, speaks
// that platform's protocol in the types of the platform's own library, and hands each
// invocation on together with the one thing that only this place can know: who
// called. The caller is read from what the platform injected for this very
// request. Nothing inside an event can raise it; an event that is shaped like an
// HTTP request lowers it to nobody.
//
// # Platforms
//
//	variable                 platform                  direct invocation   HTTP-shaped
//	_LAMBDA_SERVER_PORT      SCF, CloudBase            [Identity.Platform] nobody
//	AWS_LAMBDA_RUNTIME_API   AWS Lambda                a server            nobody
//	PORT                     SCF web functions,        none                [Identity.Headers]: the server
//	                         containers, plain HTTP                        token, or trusted headers
//
// The first variable that is set decides. HTTP-shaped are the events of CloudBase
// HTTP access, SCF function URLs and Tencent's API gateway, Lambda function URLs,
// and AWS API gateways of either payload version; each is answered in its own
// response shape.
//
// # Packages for one platform
//
// Without build tags a binary serves everything. -tags slim leaves both runtime
// libraries out, -tags slim,scf and slim,lambda all but the named one; plain HTTP
// costs nothing and is always there. A package for Lambda also has lambda.norpc, the
// runtime library's own switch for its unused net/rpc server.
//
// Of scf-go-lib a package for SCF has the messages and the context, and not its server. That
// is net/rpc's, which finds methods by name: the linker then keeps every exported method of
// every type, and a package is larger by 1.1 to 1.3 MB of zip. The calls are the same.
//
// # What SCF refuses before us
//
// A request whose environment is not a JSON object of strings is answered with a platform
// error, as by the SCF library. An event that is not JSON does reach [Function.Invoke], on
// every platform, and is its to refuse.
package host
