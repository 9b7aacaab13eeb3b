package spelling

import "testing"

// A slip of the hand leads to the word that was meant, another word to none.
func TestNearestIsTheWordThatWasMeant(t *testing.T) {
	words := []string{"list", "show", "query", "redeliver", "release"}
	for written, want := range map[string]string{
		"list": "list", "lst": "list", "lists": "list", "lisst": "list", "shwo": "show", "sho": "show", "releese": "release", "relase": "release",
		"redelivr": "redeliver", "redliver": "redeliver", "redlivr": "redeliver", "rdlvr": "", "qury": "query", "x": "", "": "", "delete": "",
	} {
		if got := Nearest(written, words...); got != want {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
	if got := Nearest("list"); got != "" {
		t.Errorf("of no words: got %q", got)
	}
	if got := Nearest("ab", "abc", "abd"); got != "abc" {
		t.Errorf("of two that are as near: got %q, want the first", got)
	}
}

// The distance is the same both ways, 0 to itself, and never more than all letters.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "abcd", 1}, {"abc", "bc", 1},
		{"kitten", "sitting", 3}, {"ab", "ba", 2}, {"abc", "xyz", 3},
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: got %d, want %d", c.a, c.b, got, c.want)
		}
		if got := Distance(c.b, c.a); got != c.want {
			t.Errorf("%q, %q: got %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
