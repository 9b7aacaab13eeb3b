// Package exhaust runs every history of a small world.
//
// A world holds a few refunds, the clients that ask for them, WeChat Pay, a ledger in
// memory and a budget of trouble. Whatever is not determined is a choice: whose turn it
// is, what becomes of a request, of its answer, of a commit and its answer, whether a
// process dies at a step, when a notification comes. A chooser replays the choices of one
// run and changes the last of them for the next, as an odometer counts, until there is
// none left: then every history within the bounds has been lived through, by the real code,
// and not a sample of them: clients and operators call the dispatcher of package
// wxpayfunctions, notifications come to that of package notify, signed, sealed or relayed
// as the system does it, and the timer runs as the platform runs it.
//
// What stands in for others is held to them: the ledger in memory by the conformance suite
// of package ledger, WeChat Pay's rules and the channels' answers by the sandbox.
//
// Time is virtual, and processes run one at a time: each has a goroutine that waits before
// every call of the ledger, of WeChat Pay and of a subscriber until it is its turn. A crash
// between two such calls cannot be told from one right after the first of them, so that a
// process may die after each that has changed something. A state of the world in which
// nothing runs is kept, and lived on from once, however it was reached.
package exhaust
