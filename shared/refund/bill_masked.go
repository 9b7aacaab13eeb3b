package refund

import "slices"

// Masked is the report without personal data in full: whoever had a bill read is named in part.
func (r BillReport) Masked() BillReport {
	r.By = maskIdentity(r.By)
	r.Corrections = slices.Clone(r.Corrections)
	for i, c := range r.Corrections {
		r.Corrections[i].By, r.Corrections[i].Before = maskIdentity(c.By), c.Before.Masked()
	}
	return r
}
