//go:build postgres || cloudbase || !slim

package ledger

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"wxrefund/shared/refund"
)

// callCommit is how PostgreSQL is given a commit, over a connection and over HTTPS: one statement,
// and so one transaction and one round trip. The function compares all versions and writes all
// items or none; it stands in the schema's step 4.
const callCommit = `SELECT wxrefund_commit(?::jsonb, ?) AS outcome`

// A functionCommit is one commit by that function. Its answer may be lost, and the call be
// repeated although it was carried out: each item names the commit that wrote it, so that a
// commit which meets its own item knows itself.
type functionCommit struct {
	items string // JSON
	id    string
}

// storedItem is an item as wxrefund_commit takes it.
type storedItem struct {
	Key     string  `json:"k"`
	Version int64   `json:"v,string"` // that is expected
	Shard   int     `json:"s"`
	Due     *string `json:"d"`
	Class   *string `json:"c"`
	At      *string `json:"a"`
	Body    []byte  `json:"b"`
}

func newFunctionCommit(items []refund.Item) (functionCommit, error) {
	all := make([]storedItem, 0, len(items))
	for _, item := range items {
		s := storedItem{Key: string(item.Key), Version: item.Version, Shard: shardOf(item.Key), Due: milliText(item.Due), At: milliText(item.At), Body: item.Body}
		if item.Class != "" {
			s.Class = &item.Class
		}
		all = append(all, s)
	}
	text, err := json.Marshal(all)
	return functionCommit{items: string(text), id: rand.Text()}, err
}

// milliText is a time as a column has it, for JSON: nil for none.
func milliText(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := strconv.FormatInt(t.UnixMilli(), 10)
	return &s
}

// errOvertaken reports that the outcome of a commit cannot be found out.
var errOvertaken = errors.New("the answer to an attempt was lost, and others have written since: the outcome is unknown")

// functionOutcome is what the function's answer means. inDoubt says that an earlier attempt may have
// been carried out, since its answer was lost.
func functionOutcome(outcome string, inDoubt bool) error {
	switch {
	case outcome == "done":
		return nil
	case outcome == "overtaken" && inDoubt: // to say stale would be a lie: the caller would do everything twice
		return errOvertaken
	case outcome == "stale" || outcome == "overtaken":
		return refund.ErrStale
	default:
		return errors.New("the answer to a commit is none of the function's")
	}
}
