// Package suggest guesses which of the words that are known somebody meant by one that is not.
//
//	if near := suggest.Word("prots", keys); near != "" { ... "did you mean " + near }
package suggest

// Word returns the word that key was probably meant to be, or "".
func Word(key string, words []string) string {
	best, bestDistance := "", 3
	for _, word := range words {
		if d := distance(key, word); d < bestDistance && 2*d < len(word) {
			best, bestDistance = word, d
		}
	}
	return best
}

// distance counts the letters to add, drop or replace to make b of a. Keys that differ in length
// by more than any near miss are not looked at: they may be long.
func distance(a, b string) int {
	if d := len(a) - len(b); d > 2 || d < -2 {
		return max(d, -d)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
