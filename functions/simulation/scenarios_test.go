package simulation_test

import (
	"math/rand/v2"
	"time"
)

// Random faults seldom meet where they hurt. Scenarios put them there: each is
// something that has cost somebody money (threats A3, A4, A12, A13, C12, C15, C17,
// C18), around one refund, with its times and kinds left open.
func scenarios() []func(h *history, r *rand.Rand, f wish) {
	return []func(*history, *rand.Rand, wish){
		acceptedThenRefused, overtakenReply, overtakenAnswer, bankReturnsMoney, storeUnavailable, unverifiableReplies, crashBeforeSettlement, lateArrival,
	}
}

// acceptedThenRefused: the first submission is accepted and its answer lost, or
// it is still on its way; the next is refused.
func acceptedThenRefused(h *history, r *rand.Rand, f wish) {
	h.fault(f.At, f.At+span(r, time.Second, 12*time.Second), 1, pick(r,
		"wire cut", "wire late", "upstream:timeout_after", "upstream:reset_after", "upstream:500_after", "upstream:429_after", "upstream:bad_signature"))
	from := f.At + span(r, time.Second, 12*time.Second)
	h.fault(from, from+span(r, time.Minute, 6*time.Minute), pick(r, 0.5, 1), pick(r,
		"err_code:NOT_ENOUGH", "err_code:USER_ACCOUNT_ABNORMAL", "err_code:INVALID_REQUEST", "err_code:PARAM_ERROR", "err_code:RESOURCE_NOT_EXISTS"))
}

// overtakenReply: the refund has come to an end, and a notification has said so, while
// the answer to its submission, which says that it goes on, takes its time.
func overtakenReply(h *history, r *rand.Rand, f wish) {
	h.fault(f.At, f.At+8*time.Second, 1, "upstream:slow")
	h.overtake(r, f, f.At+time.Second)
}

// overtakenAnswer: the same with the answer to a question.
func overtakenAnswer(h *history, r *rand.Rand, f wish) {
	at := f.At + span(r, 3*time.Second, 50*time.Second)
	h.fault(at, at+8*time.Second, 1, "upstream:slow")
	for range 1 + r.IntN(2) {
		h.act(at+span(r, 0, 300*time.Millisecond), act{Do: "query", No: f.No})
	}
	h.overtake(r, f, at+600*time.Millisecond)
}

// overtake has a refund come to one end or two within the next seconds.
func (h *history) overtake(r *rand.Rand, f wish, at time.Duration) {
	at += span(r, 0, 2400*time.Millisecond)
	h.act(at, act{Do: "settle", No: f.No, Status: pick(r, "SUCCESS", "CLOSED", "ABNORMAL", "ABNORMAL")})
	if r.IntN(2) == 0 {
		h.act(at+span(r, 100*time.Millisecond, 3*time.Second), act{Do: "settle", No: f.No, Status: pick(r, "SUCCESS", "CLOSED")})
	}
}

// bankReturnsMoney: abnormal first and then not, and the notifications come as they like.
func bankReturnsMoney(h *history, r *rand.Rand, f wish) {
	at := f.At + span(r, time.Second, time.Minute)
	h.fault(at-time.Second, at+span(r, time.Second, 3*time.Minute), pick(r, 0.5, 1), pick(r,
		"notify:reorder", "notify:reorder", "notify:delay", "notify:stale", "notify:tamper", "notification lost", "notification cut", "store errs"))
	h.act(at, act{Do: "settle", No: f.No, Status: "ABNORMAL"})
	h.act(at+span(r, 100*time.Millisecond, time.Minute), act{Do: "settle", No: f.No, Status: pick(r, "SUCCESS", "CLOSED")})
}

// storeUnavailable: a notification comes while nothing can be stored.
func storeUnavailable(h *history, r *rand.Rand, f wish) {
	at := f.At + span(r, time.Second, 5*time.Minute)
	h.fault(at-span(r, time.Millisecond, 3*time.Second), at+span(r, time.Second, 4*time.Minute), pick(r, 0.5, 1),
		pick(r, "store down", "store errs", "store hangs", "store forgets", "store slow"))
	h.act(at, act{Do: "settle", No: f.No, Status: pick(r, "SUCCESS", "CLOSED", "ABNORMAL")})
}

// unverifiableReplies: WeChat Pay's answers are not signed as they should be.
func unverifiableReplies(h *history, r *rand.Rand, f wish) {
	h.fault(f.At, f.At+span(r, time.Second, 10*time.Minute), pick(r, 0.5, 1), pick(r, "upstream:bad_signature", "upstream:unsigned", "wire mixed"))
}

// crashBeforeSettlement: it is we who break, on the way from the claim to the settlement.
func crashBeforeSettlement(h *history, r *rand.Rand, f wish) {
	h.fault(f.At, f.At+span(r, 5*time.Second, 2*time.Minute), pick(r, 0.1, 0.25), "crash")
	if r.IntN(2) == 0 {
		h.fault(f.At, f.At+span(r, time.Second, time.Minute), 0.5, pick(r, "store forgets", "store errs", "wire cut", "caller leaves"))
	}
}

// lateArrival: the submission is still on its way when the upstream is asked, and
// says that it does not know the refund.
func lateArrival(h *history, r *rand.Rand, f wish) {
	h.fault(f.At, f.At+span(r, time.Second, 20*time.Second), 1, "wire late")
	h.Tick = time.Minute
	if r.IntN(2) == 0 {
		h.act(f.At+span(r, 20*time.Second, time.Minute), act{Do: "query", No: f.No})
	}
}

// losesAnswers: the ledger takes a commit, and its answer is lost. "store forgets" seldom
// comes to that, since the answers to reads are lost as well, and a call ends with the first.
func (h *history) losesAnswers(r *rand.Rand) {
	if r.IntN(6) > 0 {
		return
	}
	f := h.Wishes[r.IntN(len(h.Wishes))]
	at := max(0, f.At+span(r, -time.Second, 5*time.Minute))
	h.fault(at, at+span(r, 2*time.Second, 3*time.Minute), pick(r, 0.3, 1), "commit forgets")
}

func (h *history) fault(from, to time.Duration, rate float64, what string) {
	h.Faults = append(h.Faults, faultWindow{max(0, from), to, what, rate})
}

func (h *history) act(at time.Duration, a act) {
	a.At = at
	h.Acts = append(h.Acts, a)
}
