package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// An identity names a process for as long as the host is up: process ids are used again, pairs
// of id and start time are not.
type identity struct {
	PID int `json:"pid"`
	// Ticks is the start time as proc_pid_stat(5) gives it, field 22.
	Ticks uint64 `json:"ticks"`
}

// alive reports whether that process exists and has not ended: a zombie has.
func (p identity) alive() bool {
	if p.PID == 0 {
		return false
	}
	now, _, zombie, ok := stat(p.PID)
	return ok && now == p && !zombie
}

// identify returns the identity of the process that has that id now.
func identify(pid int) identity {
	p, _, _, _ := stat(pid)
	return p
}

// stat reads what /proc says of a process: its identity, its session and whether it is a zombie.
func stat(pid int) (p identity, session int, zombie, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return identity{}, 0, false, false
	}
	// The name, in parentheses, may hold anything: fields count from behind the last one.
	end := bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[end+1:]))
	if end < 0 || len(fields) < 20 {
		return identity{}, 0, false, false
	}
	session, err1 := strconv.Atoi(fields[3])
	ticks, err2 := strconv.ParseUint(fields[19], 10, 64)
	return identity{PID: pid, Ticks: ticks}, session, fields[0] == "Z", err1 == nil && err2 == nil
}

// tokenVariable marks every process of an instance.
const tokenVariable = "DROVER_INSTANCE"

// withToken returns the processes of this host that carry the token and have not ended.
func withToken(token string) []identity {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil // only a bad pattern is an error
	}
	want := []byte(tokenVariable + "=" + token)
	var found []identity
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(b, want) {
			continue // it has ended, or belongs to somebody else
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		if p, _, zombie, ok := stat(pid); ok && !zombie {
			found = append(found, p)
		}
	}
	return found
}

// leaderOf returns the process that the instance was started as: the leader of its session.
func leaderOf(processes []identity) identity {
	for _, p := range processes {
		if _, session, _, ok := stat(p.PID); ok && session == p.PID {
			return p
		}
	}
	if len(processes) > 0 {
		return processes[0]
	}
	return identity{}
}

// bootID changes whenever the host is started.
var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
})
