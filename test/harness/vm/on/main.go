// Command on runs a command on a virtual host, and is what runs it there:
//
//	on ADDRESS PROGRAM [ARGUMENT...]
//	on -serve ADDRESS
//	on -writers -  # for each line of input, a line with who writes to volumes
//
// Variables that begin with DROVER_ go with the command.
package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/drover/drover/test/harness/vm/remote"
	"github.com/drover/drover/test/harness/writers"
)

// lost is the exit status when there is none of the command, as ssh has it.
const lost = 255

// alive ends a client a while after its host has lost its power.
var alive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 10 * time.Second, Count: 6}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: on ADDRESS PROGRAM [ARGUMENT...]")
		os.Exit(lost)
	}
	status, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "on:", err)
		status = lost
	}
	os.Exit(status)
}

func run(address string, args []string) (int, error) {
	if address == "-serve" {
		l, err := net.Listen("tcp", args[0])
		if err != nil {
			return 0, err
		}
		return 0, remote.Serve(l)
	}
	if address == "-writers" {
		return 0, writers.Answer(os.Stdin, os.Stdout)
	}
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAliveConfig: alive}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	c := remote.Command{Args: args}
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "DROVER_") {
			c.Env = append(c.Env, entry)
		}
	}
	return remote.Run(conn, c, os.Stdin, os.Stdout, os.Stderr)
}
