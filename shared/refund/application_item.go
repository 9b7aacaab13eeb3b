package refund

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

const (
	// applicationLife is how long an application waits for a decision.
	applicationLife = 7 * 24 * time.Hour
	// sameApplication is how long the same payer, order and amount are the same application.
	sameApplication = 24 * time.Hour
	// maxApplicationNumbers is how many refund numbers one application may use up.
	maxApplicationNumbers = 20
)

// An application is what the ledger holds of an [Application].
type application struct {
	ID        string           `json:"id"`
	State     ApplicationState `json:"state"`
	Proposed  bool             `json:"proposed,omitempty"`  // an operator's refund, under the operator's number; else a buyer's
	Auto      bool             `json:"auto,omitempty"`      // allowed without a decision
	Request   Request          `json:"request"`             // what is refunded; OutRefundNo "" while a buyer's has no number
	Applicant string           `json:"applicant"`           // who applied, as [Caller.Identity] writes it
	AppID     string           `json:"appid,omitempty"`     // of a buyer: the program in which the openid is theirs
	Reason    string           `json:"reason,omitempty"`    // the applicant's; the channel may carry less of it
	AskedFor  int64            `json:"asked_for,omitempty"` // minor units that a buyer has named; 0: all that was left
	Numbers   int              `json:"numbers,omitempty"`   // refund numbers that it has had
	CreatedAt time.Time        `json:"created_at"`
	DecidedAt time.Time        `json:"decided_at,omitzero"`
	DecidedBy string           `json:"decided_by,omitempty"`
	LookAt    time.Time        `json:"look_at,omitzero"` // approved: when the reconciler looks at its refund
	Claims    int              `json:"claims,omitempty"` // by its decision; the claim's commit counts it, so that nobody decides otherwise meanwhile
	Looks     int              `json:"looks,omitempty"`
	Revision  int              `json:"moves,omitempty"`
	History   []HistoryEntry   `json:"history"`
	outbox

	dropped string // an event that no subscriber will hear of, as this change has put in one too many
}

func applicationKey(id string) Key { return Key("application/" + id) }

// isApplication reports whether an item holds an application.
func isApplication(k Key) bool { return strings.HasPrefix(string(k), "application/") }

// The numbers of applications. A buyer's begins with B, an operator's with P; neither says
// who has applied.
func applicationID(kind string, of ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprintln(of...)))
	return kind + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:14])
}

// proposalID is the application under which an operator's refund of that number waits.
func proposalID(outRefundNo string) string { return applicationID("P", outRefundNo) }

// nextNumber is the refund number that an application uses next: a function of the
// application and of how many it has used up, so that whoever carries it out, however
// often, means the same refund. An operator's begins with the operator's own.
func (a *application) nextNumber() string {
	if a.Proposed && a.Numbers == 0 {
		return a.Request.OutRefundNo
	}
	return fmt.Sprintf("%sN%d", a.ID, a.Numbers+1)
}

// class is what the ledger lists the application under.
func (a *application) class() string { return applicationClass(a.State) }

func applicationClass(s ApplicationState) string { return "application_" + strings.ToLower(string(s)) }

// due is when the reconciler should look at the application; zero: never.
func (a *application) due(now time.Time) (at time.Time) {
	switch a.State {
	case ApplicationPending:
		at = a.CreatedAt.Add(applicationLife)
	case ApplicationApproved:
		at = a.LookAt
	}
	if next, ok := a.nextDeliveryAt(now); ok && (at.IsZero() || next.Before(at)) {
		at = next
		if at.IsZero() {
			at = now
		}
	}
	return at
}

// overdue reports whether it is due later than any rule sets: a wrong clock has set that.
func (a *application) overdue(now time.Time) bool {
	return a.State == ApplicationApproved && a.LookAt.Sub(now) > queryBackoff(a.Looks)+clockSkew ||
		a.State == ApplicationPending && a.CreatedAt.Sub(now) > clockSkew
}

// item is the application as it is to be stored over what was read.
func (a *application) item(read Item, now time.Time) Item {
	it := item(applicationKey(a.ID), read.Version, a, a.due(now))
	it.Body = preserve(read.Body, it.Body, a)
	it.Class, it.At = a.class(), a.CreatedAt
	return it
}

// note adds a line to the history.
func (a *application) note(e HistoryEntry) { a.History = noted(a.History, e) }

// move puts the application into a state, with a line of the history and an event.
func (a *application) move(to ApplicationState, by actor, why string, subscribers []string, now time.Time) {
	a.State = to
	a.Revision++
	e := by.entry(now, strings.ToLower(string(to)))
	e.Note = why
	a.note(e)
	if len(subscribers) > 0 {
		a.dropped = a.put(a.presentEvent(), subscribers)
	}
}

// presentEvent is what subscribers are told of the application's present state.
func (a *application) presentEvent() outboxEntry {
	told := a.view(nil)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s", a.ID, a.Revision, a.State))
	return outboxEntry{ID: "application-" + hex.EncodeToString(sum[:12]), At: lastAt(a.History, strings.ToLower(string(a.State)), a.CreatedAt), Application: &told}
}

// view is the application as whoever may see it sees it; rec is its refund's record, nil
// if that is not known here.
func (a *application) view(rec *record) Application {
	v := Application{
		ID: a.ID, State: a.State, OutTradeNo: a.Request.OutTradeNo, TransactionID: a.Request.TransactionID,
		Amount: ApplicationAmount{a.Request.Amount.Refund, a.Request.Amount.Total, a.Request.Amount.Currency},
		Reason: a.Reason, CreatedAt: a.CreatedAt, DecidedAt: a.DecidedAt, OutRefundNo: a.Request.OutRefundNo,
	}
	if a.refundedBy(rec) {
		r := rec.view()
		v.Refund = &r
		if rec.State == Success && a.State == ApplicationApproved {
			v.State = ApplicationRefunded // the reconciler writes it down
		}
	}
	return v
}

// refundedBy reports whether the record is of the application's refund: claimed by its
// decision or, under the same number, of the same content. So is one that is known by the
// upstream's word alone, as after a backup was restored: a claim takes it for that, too.
func (a *application) refundedBy(rec *record) bool {
	switch {
	case rec == nil || rec.State == unknown || rec.NumberTaken:
		return false
	case rec.External:
		return a.Request.matches(rec.Refund) && mismatch(a.Request, rec.Refund) == ""
	}
	return rec.Application == a.ID || difference(rec.Request, a.Request) == ""
}

// ofCaller reports whether the caller is who applied.
func (a *application) ofCaller(c Caller) bool {
	return madeBy(a.Applicant, c) && (a.AppID == "" || c.AppID == "" || a.AppID == c.AppID)
}

// madeBy reports whether an applicant's identity is the caller's. People write their own
// name with capital letters or without.
func madeBy(applicant string, c Caller) bool {
	who := c.Identity()
	return c.Kind != Nobody && c.Kind != Unlisted && (applicant == who || c.Kind == Operator && strings.EqualFold(applicant, who))
}

// maybeOf reports whether the caller may be who applied, where they must not be. It errs
// on that side: of whom was forgotten only the mask is left, which two people can share, and
// the program that a caller comes by makes them nobody else, nor do capital letters in a name.
func (a *application) maybeOf(c Caller) bool {
	return madeBy(a.Applicant, c) || c.Kind != Nobody && c.Kind != Unlisted && a.Applicant == maskIdentity(c.Identity())
}

// readApplication reads an application. [CodeNotFound] if there is none of that name.
func (s *Service) readApplication(ctx context.Context, id string) (application, Item, error) {
	if err := s.Bind(ctx); err != nil {
		return application{}, Item{}, err
	}
	noSuch := &Error{Code: CodeNotFound, Next: Never, Message: "there is no application with this application_id"}
	if k := applicationKey(id); id == "" || len(k) > MaxKey || !isNumber(id) {
		return application{}, Item{}, noSuch
	}
	items, err := s.Ledger.Get(ctx, applicationKey(id))
	if err != nil {
		return application{}, Item{}, ledgerError(err)
	}
	var a application
	if err := decode(items[0], &a); err != nil {
		return a, items[0], err
	}
	switch {
	case items[0].Version == 0:
		return a, items[0], noSuch
	case a.ID != id: // whatever is written of it would be written elsewhere
		return a, items[0], fmt.Errorf("refund: item %s %w: it is another application's", items[0].Key, errDamaged)
	}
	return a, items[0], nil
}

// updateApplication changes an application, anew from the beginning whenever somebody
// else was faster. What change returns, other than [errUnchanged], is the error, and then nothing is
// written. It returns the application as it is then.
func (s *Service) updateApplication(ctx context.Context, id string, change func(a *application, now time.Time) error) (a application, err error) {
	err = s.retry(ctx, func() error {
		var read Item
		if a, read, err = s.readApplication(ctx, id); err != nil {
			return err
		}
		now := s.now()
		if err := change(&a, now); err != nil {
			return err
		}
		return ledgerError(s.Ledger.Commit(ctx, a.item(read, now)))
	})
	if err == nil && a.dropped != "" {
		s.alarmDaily(ctx, applicationKey(id), alarm{code: alarmOverflow, why: a.dropped}, "application_id", id)
	}
	return a, err
}

// An applicationPointer leads from what somebody applies for to the application, so that the
// same wish is the same application.
type applicationPointer struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

// leads reports whether the pointer still counts: always, if the caller has named the request.
func (p applicationPointer) leads(named bool, now time.Time) bool {
	return p.ID != "" && (named || now.Sub(p.At) < sameApplication)
}

func pointerKey(of ...any) Key { return Key("applied/" + applicationID("", of...)) }

// A payerItem is what the ledger holds of one payer: what they have applied for. Its key
// does not say who that is.
type payerItem struct {
	Day          string   `json:"day,omitempty"`     // of the counts, in China
	Applied      int      `json:"applied,omitempty"` // applications of that day
	Refused      int      `json:"refused,omitempty"` // of that day: for orders that are not theirs
	Asked        int      `json:"asked,omitempty"`   // of that day: about refunds of such orders
	Applications []string `json:"applications,omitempty"`
}

const (
	// maxRefusedADay is how often a day somebody may apply for an order that is not theirs:
	// each time WeChat Pay is asked.
	maxRefusedADay = 20
	// MaxAppliedADay is how often a day, in China, one payer may apply at all.
	MaxAppliedADay = 50
	// maxApplications is how many of somebody's applications are listed, the newest.
	maxApplications = 200
)

// payerKey is where a payer's item stands: one, whether or not the platform names the program
// that the openid is of.
func payerKey(c Caller) Key { return Key("payer/" + applicationID("", c.OpenID)) }

// on starts the counts of a new day. A clock that is behind does not start those of the day
// before anew; what is more than a day ahead is none's but a broken one's.
func (p *payerItem) on(now time.Time) {
	day := func(t time.Time) string { return t.In(china()).Format(time.DateOnly) }
	if today := day(now); p.Day < today || p.Day > day(now.Add(24*time.Hour)) {
		p.Day, p.Applied, p.Refused, p.Asked = today, 0, 0, 0
	}
}

// errNotPayer is what everybody is told about an order that is not theirs, or is none.
func errNotPayer() *Error {
	return denied("this order is none that this caller has paid")
}
