package main

import (
	"github.com/spf13/cobra"
)

func newPlan(io_ stdio) *cobra.Command { return &cobra.Command{Use: "plan"} }
