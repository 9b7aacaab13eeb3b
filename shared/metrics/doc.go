// Package metrics measures what a function does, and says it in figures.
//
// [Measure] puts a watch on a service's channel and ledger. What it reads goes two ways.
// Where functions run as long as a container does, Prometheus reads it from
// [Meter.Exposition], with what the ledger counts. Where a platform starts and stops
// them as it likes, nobody could: there each run of the reconciler logs one line, figures,
// with the same counts and the times of its own calls.
//
// Counting must not become the ledger's work. What is open is few refunds, and is counted
// again after some seconds; what rests grows for ever, and is counted so rarely that
// counting takes a thousandth of the time.
//
// Figures name no person, no order and no refund.
//
// # Packages for one platform
//
// Prometheus's text and its library are in binaries for plain HTTP alone: -tags scf and
// -tags lambda leave them out, since their start is paid for by whoever waits.
package metrics
