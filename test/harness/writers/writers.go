// Package writers finds the processes that write to volumes by looking at the processes of a machine,
// not at what agents say of them.
//
//	app, volume := writers.Environment(pid)
//	all := writers.Here() // "db" -> "4711@85231"
//
//	agent --starts--> process, with DROVER_APPLICATION and DROVER_VOLUME <--looks-- writers
package writers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Environment returns the name of the application that a process belongs to, and where its volume
// is, as its environment tells.
func Environment(pid int) (app, volume string) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", "" // it has ended, or belongs to somebody else
	}
	for _, entry := range bytes.Split(b, []byte{0}) {
		name, value, _ := strings.Cut(string(entry), "=")
		switch name {
		case "DROVER_APPLICATION":
			app = value
		case "DROVER_VOLUME":
			volume = value
		}
	}
	return app, volume
}

// Here returns, for each application with a volume that lives on this machine, its processes. Each
// has a name that no other process has since this machine was started.
func Here() map[string][]string {
	found := map[string][]string{}
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(dir.Name())
		if err != nil {
			continue
		}
		if app, volume := Environment(pid); app != "" && volume != "" {
			if name := name(pid); name != "" {
				found[app] = append(found[app], name)
			}
		}
	}
	return found
}

// name makes one of the id and the time of the start.
func name(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, ok := strings.Cut(string(b), ") ")
	if fields := strings.Fields(rest); err == nil && ok && len(fields) > 19 {
		return fmt.Sprintf("%d@%s", pid, fields[19])
	}
	return ""
}

// Answer looks once per line that it reads, and writes what it sees as a line of JSON.
func Answer(questions io.Reader, answers io.Writer) error {
	lines, encoder := bufio.NewScanner(questions), json.NewEncoder(answers)
	for lines.Scan() {
		if err := encoder.Encode(Here()); err != nil {
			return err
		}
	}
	return lines.Err()
}
