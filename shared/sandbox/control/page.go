package control

import (
	"slices"

	"wxrefund/shared/console"
)

// A page is which part of a list is asked for.
type page struct{ offset, limit int }

const maxOffset = 1 << 30

func pageOf(p *console.Params) page {
	return page{int(p.Number("offset", 0, maxOffset, 0)), p.Limit()}
}

// pick returns the part of a list that a page asks for, the last of all first, of what ok
// lets pass; total is how much that is.
func pick[T any](all []T, p page, ok func(T) bool) (found []T, total int) {
	for _, x := range slices.Backward(all) {
		if !ok(x) {
			continue
		}
		if total >= p.offset && len(found) < p.limit {
			found = append(found, x)
		}
		total++
	}
	return found, total
}
