package operator

import (
	"encoding/json"
	"testing"
)

// FuzzDecisions reads any body: what is taken says what encoding/json reads in it, and
// confirms nothing but the word that it has.
func FuzzDecisions(f *testing.F) {
	for _, body := range []string{
		`{"confirm":"refund-1"}`, `{"confirm":"refund-1","absent":"true"}`, `{"confirm":"not_enough","code":"not_enough","about":"refund-1","note":"topped up"}`,
		`{"confirm":"a","confirm":"b"}`, `{"Confirm":"a"}`, `{"confirm":null}`, `[]`, ``, `{"confirm":"\u0061"}`, `{"x":"y"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := readDecision(body)
		if err != nil {
			return
		}
		var all map[string]string
		if err := json.Unmarshal(body, &all); err != nil {
			t.Fatalf("%q is read as %+v: %v", body, d, err)
		}
		if d.Confirm != all["confirm"] || d.Code != all["code"] || d.About != all["about"] || d.Absent != (all["absent"] == "true") {
			t.Errorf("%q is read as %+v", body, d)
		}
		if d.confirmed("") == nil || d.confirmed(d.Confirm+"x") == nil {
			t.Errorf("%q confirms what it has not", body)
		}
	})
}
