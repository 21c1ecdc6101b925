package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/drover/drover/cluster"
)

// An identity names a process for as long as the host is up: process ids are used again, pairs
// of id and start time are not.
type identity struct {
	PID int `json:"pid"`
	// Ticks is the start time as proc_pid_stat(5) gives it, field 22.
	Ticks uint64 `json:"ticks"`
}

// alive reports whether that process exists and has not ended: a zombie has. One of which that
// cannot be told may exist.
func (p identity) alive() bool {
	if p.PID == 0 {
		return false
	}
	now, err := stat(p.PID)
	if err != nil {
		return !ended(err)
	}
	return now.identity == p && !now.zombie
}

// ended reports whether an error of /proc says that there is no such process.
func ended(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// A status is what /proc says of a process.
type status struct {
	identity
	session int
	zombie  bool
}

func stat(pid int) (status, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return status{}, err
	}
	return parseStat(pid, b)
}

func parseStat(pid int, b []byte) (status, error) {
	// The name, in parentheses, may hold anything: fields count from behind the last one.
	end := bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[end+1:]))
	if end < 0 || len(fields) < 20 {
		return status{}, fmt.Errorf("read the state of process %d: %w: %q", pid, cluster.ErrInvalid, b)
	}
	session, err := strconv.Atoi(fields[3])
	ticks, err2 := strconv.ParseUint(fields[19], 10, 64)
	return status{identity{PID: pid, Ticks: ticks}, session, fields[0] == "Z"}, errors.Join(err, err2)
}

// tokenVariable marks every process of an instance.
const tokenVariable = "DROVER_INSTANCE"

// withToken returns the processes of this host that carry the token and have not ended. If it
// cannot look, that is not "none".
func withToken(token string) ([]status, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	want := []byte(tokenVariable + "=" + token)
	var found []status
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + name + "/environ")
		if err == nil && !bytes.Contains(b, want) || errors.Is(err, fs.ErrPermission) {
			continue // it is somebody else's
		}
		var p status
		if err == nil {
			p, err = stat(pid)
		}
		switch {
		case err == nil && !p.zombie:
			found = append(found, p)
		case err != nil && !ended(err):
			return nil, fmt.Errorf("look for processes: %w", err)
		}
	}
	return found, nil
}

// leaderOf returns the process that the instance was started as: the leader of its session.
func leaderOf(processes []status) identity {
	for _, p := range processes {
		if p.session == p.PID {
			return p.identity
		}
	}
	if len(processes) > 0 {
		return processes[0].identity
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
