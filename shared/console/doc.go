// Package console is what the pages are made of that show refunds to whoever works on
// this machine: the sandbox's and the operator's. It has the files that both load, the
// doors behind them, which let in only this machine, and how a list is asked for, paged
// and kept as a file. It knows neither a sandbox nor a ledger.
package console
