package bill

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/world"
)

// Ask is [Issue] for a request, which a fault may strike. It returns the fault too, for what
// only the system knows to do; one does not apply where there is nothing that it is about.
func Ask(w *world.World, y world.System, record *world.Record, q Query, without ...string) (*File, string, *world.Refusal) {
	// Who begins asks for three months of days before there was anything: a hundred answers
	// that all say so would drive from the journal what has happened.
	if q.Day.Before(world.Midnight(w.Born())) {
		record.Forget()
	}
	flaw, code := w.BillFault(y, without...)
	record.Suffer(flaw)
	if code != "" {
		return nil, flaw, world.Refuse(code)
	}
	q.Flaw = flaw
	f, no := Issue(w, q)
	return f, flaw, no
}

// An Offer is a file that waits to be downloaded.
type Offer struct {
	File   *File
	Packed bool

	// Authorization is the one value of the header that opens it; empty: whoever signs.
	Authorization string
}

// Serve answers with the file.
func (o Offer) Serve(in *world.World, w http.ResponseWriter, x *door.Exchange) {
	media := "text/plain; charset=utf-8"
	if o.Packed {
		media = "application/x-gzip"
	}
	w.Header().Set("Content-Type", media)
	door.Wrote(in, x.Request, x.ID, http.StatusOK, world.UpstreamFault{})
	w.WriteHeader(http.StatusOK)
	_ = o.File.Write(w, o.Packed) // the client may have gone; that is its affair
}

// maxOffers bounds the files that wait; the oldest gives way.
const maxOffers = 1000

// Offers are the files that wait to be downloaded, by tokens that can be used once. All systems
// whose bills are downloaded share them. The zero value is ready.
type Offers struct {
	mu    sync.Mutex
	items []offered
}

type offered struct {
	Offer
	token   string
	expires time.Time
}

// Put makes a token that is good for so long by the real clock, or for as much time as the
// virtual one takes for it: moving that on ends it too.
func (o *Offers) Put(w *world.World, offer Offer, life time.Duration) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := w.Now()
	o.items = slices.DeleteFunc(o.items, func(x offered) bool { return !x.expires.After(now) })
	o.items = o.items[max(0, len(o.items)+1-maxOffers):]
	token := world.Random(64)
	o.items = append(o.items, offered{offer, token, now.Add(w.Lasting(life))})
	return token
}

// Take returns what a token stands for, once.
func (o *Offers) Take(w *world.World, token string) (Offer, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.items, func(x offered) bool { return x.token == token })
	if i < 0 {
		return Offer{}, false
	}
	out := o.items[i]
	o.items = slices.Delete(o.items, i, i+1)
	return out.Offer, out.expires.After(w.Now())
}

// Authorization is the header that a token's file demands; empty: none of its own.
func (o *Offers) Authorization(token string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.items {
		if x.token == token {
			return x.Authorization
		}
	}
	return ""
}

// Path is where bills are downloaded.
const Path = "/v3/billdownload/file"

// URL is the address of a file, on the host that the client called.
func URL(r *http.Request, flaw, token string) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if flaw == "foreign_host" {
		host = "api.mch.weixin.qq.com.bills.example"
	}
	return scheme + "://" + host + Path + "?token=" + token
}
