package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// A number is a duration or a count of something: what is less than none is a slip, and would be taken for
// something that nobody meant.
type number[T ~int | ~int64] struct {
	value *T
	parse func(string) (T, error)
	text  func(T) string
	kind  string
	least T
}

func (n number[T]) String() string {
	if n.value == nil {
		return ""
	}
	return n.text(*n.value)
}

func (n number[T]) Type() string { return n.kind }

func (n number[T]) Set(text string) error {
	v, err := n.parse(text)
	if err == nil && v < n.least {
		err = errors.New("want " + n.text(n.least) + " or more")
	}
	if err == nil {
		*n.value = v
	}
	return err
}

// duration adds a flag for a time of at least zero.
func duration(f *pflag.FlagSet, value *time.Duration, name string, usual time.Duration, usage string) {
	*value = usual
	f.Var(number[time.Duration]{value, time.ParseDuration, time.Duration.String, "duration", 0}, name, usage)
}

// count adds a flag for a number of at least least.
func count(f *pflag.FlagSet, value *int, name string, usual, least int, usage string) {
	*value = usual
	f.Var(number[int]{value, strconv.Atoi, strconv.Itoa, "int", least}, name, usage)
}

// count64 is count for a large number, of at least zero.
func count64(f *pflag.FlagSet, value *int64, name string, usual int64, usage string) {
	*value = usual
	parse := func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }
	f.Var(number[int64]{value, parse, func(n int64) string { return strconv.FormatInt(n, 10) }, "int", 0}, name, usage)
}
