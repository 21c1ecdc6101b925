package cluster

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1":                   1,
		"1024":                1024,
		"1K":                  1 << 10,
		"1k":                  1 << 10,
		"10M":                 10 << 20,
		"2.5G":                2684354560,
		"2.G":                 2 << 30,
		"1T":                  1 << 40,
		"0.5K":                512,
		"0.1K":                103, // rounded up
		"0.5":                 1,
		"0000000001":          1,
		"9007199254740992":    1 << 53,
		"8388607T":            8388607 << 40,
		"9223372036854774784": math.MaxInt64 - 1023, // the largest that a float64 can tell from 1<<63
	} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("%q: got %d %v, want %d", text, got, err, want)
		}
	}
}

func TestParseSizeRefuses(t *testing.T) {
	for _, row := range []struct{ rule, text, want string }{
		{"nothing", "", "want a number of bytes"},
		{"less than nothing", "-1", "want a number of bytes"},
		{"a sign", "+1", "want a number of bytes"},
		{"zero", "0", "must be greater than zero"},
		{"zero in a unit", "0.0G", "must be greater than zero"},
		{"two letters", "1GB", "want a number of bytes"},
		{"Docker's unit", "1GiB", "want a number of bytes"},
		{"a unit beyond T", "1P", "want a number of bytes"},
		{"a unit alone", "G", "want a number of bytes"},
		{"a space", "1 G", "want a number of bytes"},
		{"a line end", "1\n", "want a number of bytes"},
		{"no digit before the point", ".5G", "want a number of bytes"},
		{"two points", "1.2.3", "want a number of bytes"},
		{"an exponent", "1e3", "want a number of bytes"},
		{"hexadecimal", "0x10", "want a number of bytes"},
		{"other digits", "١", "want a number of bytes"},
		{"the sign for kelvin", "1\u212a", "want a number of bytes"},
		{"2 to the 63", "8388608T", "too large"},
		{"more than a float64", strings.Repeat("9", 400), "out of range"},
	} {
		got, err := ParseSize(row.text)
		if got != 0 || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %q: got %d %v, want an ErrInvalid that says %q", row.rule, row.text, got, err, row.want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"1", "2.5G", "0", "-1", "8388608T", "1e9", "0.0000000001T", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			if n != 0 || !errors.Is(err, ErrInvalid) {
				t.Errorf("%q: got %d %v", s, n, err)
			}
			return
		}
		if n <= 0 {
			t.Errorf("%q: got %d", s, n)
		}
		// A unit counts as what it stands for, and case does not matter.
		if lower, err := ParseSize(strings.ToLower(s)); lower != n || err != nil {
			t.Errorf("%q in lower case: got %d %v, want %d", s, lower, err, n)
		}
		if plain, err := strconv.ParseInt(s, 10, 64); err == nil && plain < 1<<53 && plain != n {
			t.Errorf("%q: got %d", s, n)
		}
	})
}
