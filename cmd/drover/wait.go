package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
)

// waitOptions are how long a command waits for what it has asked for. Every command that waits has
// them, and waits in them.
type waitOptions struct{ timeout time.Duration }

func (o *waitOptions) addFlags(f *pflag.FlagSet) {
	duration(f, &o.timeout, "timeout", 0, "wait no longer than this (0: until it is done); to stop waiting stops nothing else")
}

// wait calls do, which waits. When the user, or the timeout, ends that, nothing has failed: the error
// says what goes on all the same. The hint is for every error.
func (o waitOptions) wait(ctx context.Context, goesOn, hint string, do func(context.Context) error) error {
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	err := do(ctx)
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil && errors.Is(err, cause) {
		err = &notWaiting{goesOn: goesOn, cause: cause}
	}
	return cluster.WithHint(err, hint)
}

// A notWaiting is the end of a wait before what was waited for: its cause is that of the context.
type notWaiting struct {
	goesOn string
	cause  error
}

func (e *notWaiting) Error() string { return "no longer waiting; " + e.goesOn }

func (e *notWaiting) Unwrap() error { return e.cause }
