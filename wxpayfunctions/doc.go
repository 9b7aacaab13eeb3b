// Package wxpayfunctions answers the mini-program: it decodes an event, routes
// on its type as the CloudBase template does, and replies with an envelope.
//
// It holds no rule about refunds. A refusal is a reply like any other, since a
// function error reaches the mini-program without its cause.
package wxpayfunctions
