package config

import "strings"

// maxSuggest is the length of the longest name that is worth a suggestion.
const maxSuggest = 80

// suggest returns the candidate that is nearest to name, "" when none is near.
func suggest(name string, candidates []string) string {
	if len(name) > maxSuggest {
		return ""
	}
	name = strings.ToLower(name)
	best, bestAt := "", max(2, len(name)/3)+1
	for _, c := range candidates {
		if d := distance(name, strings.ToLower(c), bestAt); d < bestAt {
			best, bestAt = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with a neighbour to make a from b, or limit when
// it is at least that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(b) > maxSuggest {
		return limit
	}
	var rows [3][maxSuggest + 1]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := range len(a) {
		prev, cur, before := &rows[i%3], &rows[(i+1)%3], &rows[(i+2)%3]
		cur[0] = i + 1
		least := cur[0]
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			d := min(prev[j+1]+1, cur[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			cur[j+1] = d
			least = min(least, d)
		}
		if least > limit {
			return limit
		}
	}
	return min(rows[len(a)%3][len(b)], limit)
}
