package osinfo

import "strconv"

func itoa(n int) string { return strconv.Itoa(n) }

// atoi is a decimal number, or -1.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
