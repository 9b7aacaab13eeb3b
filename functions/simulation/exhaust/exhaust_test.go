package exhaust

import (
	"slices"
	"testing"
)

// Every combination of choices is taken once, also where one choice decides what there is
// to choose from next.
func TestChooserTakesEveryCombinationOnce(t *testing.T) {
	c := &chooser{}
	var got [][]int
	for more := true; more; more = c.advance() {
		path := []int{c.Pick(2)}
		if path[0] == 1 {
			path = append(path, c.Pick(3), c.Pick(1))
		}
		got = append(got, path)
	}
	want := [][]int{{0}, {1, 0, 0}, {1, 1, 0}, {1, 2, 0}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A scenario that is lived through twice has the same paths and states, or its figures
// would mean nothing.
func TestExploringTwiceIsTheSame(t *testing.T) {
	sc := Scenarios(0)[1]
	first, second := Explore(t, "apiv3", sc), Explore(t, "apiv3", sc)
	if first.Paths != second.Paths || first.States != second.States || first.Paths == 0 || first.Broken != nil {
		t.Errorf("got %v and %v %v", first, second, first.Broken)
	}
}
