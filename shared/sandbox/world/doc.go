// Package world is what WeChat Pay knows and does, whoever asks: orders and refunds,
// money, settlement, notifications, faults, keys, the journal of what went over the wire, and
// the virtual clock.
//
// It holds one memory and one set of rules, those of APIv3, whose documents package
// wxpay names. The systems beside APIv3 only ask, refuse and notify in their own words,
// and each of them is a package of its own, a door. A door is given values, never what
// is behind them: an [Order] or a [Refund] says how things stood when it was returned.
// What goes the other way, how to write a notification, comes in its [Vocabulary].
//
// Everything follows the virtual clock, but for signatures, limits and how long an
// answer may take, which are about the real one. All chance is drawn from the seed, by
// purpose and not by turn, so that requests that race each other do not change one
// another's fate.
package world
