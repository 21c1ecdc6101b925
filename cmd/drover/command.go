package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/internal/suggest"
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
		for i, arg := range args[:min(len(args), len(given))] { // a command may take others by itself
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
		if n == 0 && c.HasAvailableSubCommands() {
			return noCommand(c, args[0])
		}
		hint := "the command is: " + c.UseLine()
		if below := available(c); len(args) > 0 && len(below) > 0 {
			hint += "; or one of: " + c.CommandPath() + " " + strings.Join(below, "|")
			if near := suggest.Word(args[0], below); near != "" {
				hint = "did you mean: " + c.CommandPath() + " " + near
			}
		}
		return cluster.WithHint(fmt.Errorf("%w: %s takes %s, and got %d", cluster.ErrInvalid, c.CommandPath(), cluster.Count(n, "argument"), len(args)), hint)
	}
}

// atMost refuses a call with more arguments than a command has, all of which may be left out.
func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return exactly(n)(c, args)
	}
}

// available are the names of the commands below one.
func available(c *cobra.Command) []string {
	var names []string
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			names = append(names, below.Name())
		}
	}
	return names
}

// noCommand says that there is no command of that name below one, and which there are.
func noCommand(c *cobra.Command, name string) error {
	hint := c.CommandPath() + " --help lists the commands"
	if c.HasParent() {
		hint = fmt.Sprintf("the commands of %s are: %s", c.CommandPath(), strings.Join(available(c), ", "))
	}
	if near := suggest.Word(name, available(c)); near != "" {
		hint = "did you mean: " + c.CommandPath() + " " + near
	}
	return cluster.WithHint(fmt.Errorf("%w: there is no command %s %s", cluster.ErrInvalid, c.CommandPath(), cluster.Printable(name)), hint)
}

// group makes a command that only has others below it.
func group(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return noCommand(c, args[0])
	}
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
