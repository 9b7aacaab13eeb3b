// Package simulation runs the whole refund back end against a hostile world and
// checks after every step that no money is lost, doubled or forgotten.
//
// One history is one seed. It draws some orders, what customers are owed, how
// impatient their clients are, and what goes wrong meanwhile: crashes between
// any two steps, a store that is down, slow or does not say what it did, a wire
// that loses requests or answers or carries them late, an upstream that
// misbehaves in every way that package sandbox knows, and notifications that are lost,
// repeated, reordered, late, tampered with, or forged. The code that runs in it
// is the real one: the dispatcher, the notification handler and the timer, each
// in several instances over one ledger, and the sandbox as WeChat Pay.
// Everything lives in one testing/synctest test, in which a day passes in
// milliseconds. Then all faults end, more than a day passes, and the books must
// agree with WeChat Pay to the fen.
//
// Each history is on one of the five channels. What differs by channel is a row of
// [systems]: how our side is wired, what a request asks, what a reply tells, and how
// far a notification may be believed: all of it read anew here, since the packages that
// read it for our side are on trial. On the four channels beside APIv3 no notification is
// more than a hint, so that whatever moves there must have heard it from a query or
// a reply. On CloudPay some accounts' queries list nothing, ever: there what the
// platform relays is the last word if the merchant has it trusted, and else a
// refund stays open, its money reserved.
//
// Some faults do not end with the others: a number under which nothing ever
// gets through, a number that somebody else has used for another refund. What must
// come of these is run once with nothing beside it, too (see [fixedHistories]).
//
// Beside it, on APIv3, run rules that other back ends have published (see [rules]): what
// they make of a lost answer, and of what is pending for long. They meet the same histories,
// so that a figure which is zero for us is shown to be one that can fail.
//
// README.md has the commands, the rules that are checked, and the figures.
//
// The same seed gives the same history to the nanosecond: whatever is random is drawn
// by purpose and not by turn (see [randomness]), and no two parts of the world ever
// wake at the same instant (see [world.wait]).
package simulation_test

import "flag"

// sizes are how much is tried. Zero: as much as fits the kind of run.
type sizes struct {
	histories, races int
	first, seed      uint64
	channel          string
	shrink, plain    bool
	bills, shop      bool
}

// flags are read by the testing package, so they have to be global.
var flags = func() *sizes {
	s := &sizes{}
	flag.IntVar(&s.histories, "histories", 0, "how many histories to run")
	flag.IntVar(&s.races, "races", 0, "how many races and double deliveries to run")
	flag.Uint64Var(&s.first, "first", 1, "seed of the first history; the others follow")
	flag.Uint64Var(&s.seed, "seed", 0, "run this one history and print every step of it")
	flag.StringVar(&s.channel, "channel", "", "run histories on this upstream system only; with -seed: on this one, else on apiv3")
	flag.BoolVar(&s.plain, "plain", false, "with -seed: without what histories have learned since the regressions were noted")
	flag.BoolVar(&s.bills, "bills", false, "with -seed: with refunds by hand that bills alone tell of")
	flag.BoolVar(&s.shop, "shop", false, "with -seed: with buyers who apply and operators who decide")
	flag.BoolVar(&s.shrink, "shrink", false, "with -seed: look for a smaller history that fails as well")
	return s
}()

// on reports whether histories on a channel are asked for.
func (s *sizes) on(name string) bool { return s.channel == "" || s.channel == name }

// size chooses by the kind of run, unless a flag says how many: all with the tag
// heavy, fewer under the race detector, and without the tag what a developer waits for.
func size(asked, all, raced, light int) int {
	switch {
	case asked > 0:
		return asked
	case !heavy:
		return light
	case race:
		return raced
	}
	return all
}
