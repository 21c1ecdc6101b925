package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
)

// Every command is made in the same way. Its options are a struct, with what it reads and writes, its
// flags and its arguments; a method adds the flags; a function runs it:
//
//	type keyRmOptions struct {
//		stdio
//		connectOptions // has the method addFlags
//		name string
//	}
//
//	func newKeyRm(io_ stdio) *cobra.Command {
//		o := keyRmOptions{stdio: io_}
//		return command(&cobra.Command{Use: "rm NAME", Short: "..."}, &o, runKeyRm, &o.name)
//	}
//
//	func runKeyRm(ctx context.Context, o keyRmOptions) error
type options[O any] interface {
	*O
	addFlags(f *pflag.FlagSet)
}

// command makes a command of its options and the function that runs it. Its arguments, one for each of
// args, are part of the options.
func command[O any, P options[O]](c *cobra.Command, o P, run func(context.Context, O) error, args ...*string) *cobra.Command {
	if c.Args == nil {
		c.Args = exactly(len(args))
	}
	c.RunE = func(c *cobra.Command, given []string) error {
		for i, arg := range args {
			*arg = given[i]
		}
		return run(c.Context(), *o)
	}
	o.addFlags(c.Flags())
	return c
}

// exactly refuses a call with more or fewer arguments than a command has.
func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return cluster.WithHint(fmt.Errorf("%w: %s takes %s, and got %d", cluster.ErrInvalid, c.CommandPath(), cluster.Count(n, "argument"), len(args)),
			"the command is: "+c.UseLine())
	}
}

// group makes a command that only has others below it.
func group(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := c.CommandPath() + " --help lists the commands"
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean: " + c.CommandPath() + " " + near[0]
		}
		return cluster.WithHint(fmt.Errorf("%w: there is no command %s %s", cluster.ErrInvalid, c.CommandPath(), cluster.Printable(args[0])), hint)
	}
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.DisableFlagsInUseLine = true
	c.AddCommand(below...)
	return c
}

// remoteOptions are those of a command that asks the control service and shows what it answers.
type remoteOptions struct {
	stdio
	connectOptions
	outputOptions
}

func (o *remoteOptions) addFlags(f *pflag.FlagSet) {
	o.connectOptions.addFlags(f)
	o.outputOptions.addFlags(f)
}

// client returns a client of the control service, unless the command was called in vain.
func (o *remoteOptions) client() (*client.Client, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return o.connectOptions.client()
}

// waitingOptions are those of a command that asks the control service for something, and waits until it
// is done.
type waitingOptions struct {
	remoteOptions
	waitOptions
}

func (o *waitingOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	o.waitOptions.addFlags(f)
}

func waiting(io_ stdio) waitingOptions {
	return waitingOptions{remoteOptions: remoteOptions{stdio: io_}}
}
