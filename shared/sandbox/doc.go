// Package sandbox plays WeChat Pay on one machine.
//
// WeChat Pay has no test environment for APIv3: whoever integrates refunds
// debugs with real money. This is the missing counterparty. It checks what
// WeChat Pay checks and in its words, signs and seals what WeChat Pay signs and
// seals, settles what it has accepted some minutes later and posts real
// notifications until they are acknowledged, fifteen repeats long. A client that
// was written for the real host, with its official SDK say, works against it
// unchanged; only the host differs.
//
// The four systems beside it over which refunds can be made are played as well:
// WeChat Pay Global in v2's XML over mutual TLS, CloudBase's gateway with its
// template's module and with CloudPay, and WeCom. All of them share one memory of
// orders and refunds and one set of rules, those of APIv3; each only asks, refuses
// and notifies in its own words. Where nothing is documented about those, what its
// users report decides, and the tables say so.
//
// Merchants know WeChat Pay by platform certificates, by its public key, or by both while
// they are moved from the one to the other; [Config.Merchant] chooses.
//
// It is strict and, with [Config.Hostile], repeats and reorders notifications, since
// a client that has seen only good days is not tested. And it misbehaves on demand:
// every fault that has a name in [Sandbox.Control] is one that merchants have met.
//
// Two clocks run in it. Signatures are always about real time, as both sides
// check them against their own clocks. Everything else (when a refund settles,
// when a notification is repeated, the dates in bodies) follows a virtual clock
// that may run faster and can be moved by hand.
//
// All chance comes from the seed, by purpose and not by turn: what is drawn for a
// refund depends on the seed and on the refund's number, not on how much was drawn
// before. The same seed and the same requests give the same run.
//
// People watch and drive it by its console, a page that is served from here
// ([Sandbox.Console]) and shows [Sandbox.Control]'s state as it changes: WeChat's
// records, and beside them those of the merchant's side, which is being developed. What went
// over the wire is there too, raw but for secrets, with what was checked: see [Exchange].
//
// This package is the front. Behind it package world holds the orders, the refunds,
// the notifications and the clock; apiv3, v2, cloudbase and wecom are doors to it, one
// for each system; bill writes the daily bills that these issue; control and console are
// for people.
//
// It is a tool for developers and never one for production. There is no
// persistence whatever: keys, orders and refunds live and die with the process.
// It knows nothing of how the merchant's side thinks of refunds; all that it shares
// with it is the protocol in package wxpay, which is proven against the official
// SDK.
package sandbox
