package main

import "github.com/spf13/cobra"

// newSandbox is the program of the containers that hold an application's network: it waits.
func newSandbox() *cobra.Command {
	return &cobra.Command{
		Use:    "sandbox",
		Short:  "Hold the network of an application until it is ended",
		Hidden: true,
		Args:   cobra.NoArgs,
		Run:    func(c *cobra.Command, _ []string) { <-c.Context().Done() },
	}
}
