package cluster

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

var sizePattern = regexp.MustCompile(`^(\d+\.?\d*)([KMGT]?)$`)

// ParseSize reads a storage quantity as Flocker's files write it: a number, which may have a
// fraction, and an optional binary unit K, M, G or T in either case ("2.5G"). The result is in
// bytes, rounded up.
func ParseSize(s string) (int64, error) {
	m := sizePattern.FindStringSubmatch(strings.ToUpper(s))
	if m == nil {
		return 0, fmt.Errorf("%w: size %q: want a number of bytes, or one followed by K, M, G or T (such as 2.5G)", ErrInvalid, s)
	}
	number, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, fmt.Errorf("%w: size %q: %w", ErrInvalid, s, err)
	}
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[m[2]]
	bytes := math.Ceil(math.Ldexp(number, shift))
	if bytes <= 0 {
		return 0, fmt.Errorf("%w: size %q: must be greater than zero", ErrInvalid, s)
	}
	if bytes >= math.MaxInt64 {
		return 0, fmt.Errorf("%w: size %q: too large", ErrInvalid, s)
	}
	return int64(bytes), nil
}
