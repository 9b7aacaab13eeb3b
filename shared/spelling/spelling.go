// Package spelling finds the word that somebody meant.
package spelling

// Nearest returns the word that is nearest to what was written, of several the first, if
// it is as near as a slip of the hand: "" if none is.
func Nearest(written string, words ...string) string {
	best, least := "", 3
	for _, word := range words {
		d := Distance(written, word)
		if d < least && (d < 2 || d*2 <= len(word)) { // two letters of three make another word
			best, least = word, d
		}
	}
	return best
}

// Distance counts the letters to insert, delete or replace to make a into b (Levenshtein).
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
