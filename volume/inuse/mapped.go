package inuse

import (
	"fmt"
	"os"
	"strings"
)

// A mapping is a line of /proc/<pid>/maps that is of a file.
type mapping struct {
	pages  string // where it is, which is what /proc/<pid>/map_files calls it
	writes bool   // into the file
	device string // major:minor, as mounts have it
	path   string
}

// mappings returns the process if it has a file of root mapped, be its descriptor closed or not.
func (s *search) mappings(process string) (string, error) {
	text, err := os.ReadFile(process + "/maps")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if s.want == writers && !mayWrite(line) {
			continue
		}
		m, ok := parseMapping(line)
		// Where reading counts too there are many, of libraries: only those of the file system.
		if !ok || !(m.writes || s.want == holders && m.device == s.root.device) {
			continue
		}
		path, id, err := follow(process + "/map_files/" + m.pages)
		if err != nil { // it has been unmapped, or only root may follow it
			path, id = m.path, -1
		}
		if s.holds(process, id, path, process+"/map_files/"+m.pages) {
			return describe(process, path+" mapped"), nil
		}
	}
	return "", nil
}

// mayWrite is a quick look at a line, since most are of no interest: "7f..-7f.. rw-s ...".
func mayWrite(line string) bool {
	at := strings.IndexByte(line, ' ')
	return at >= 0 && len(line) > at+4 && line[at+2] == 'w' && line[at+4] == 's'
}

// parseMapping reads a line; it is not ok if that is of no file.
func parseMapping(line string) (mapping, bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || len(fields[1]) != 4 || fields[4] == "0" || fields[5][0] != '/' {
		return mapping{}, false
	}
	first, last, ok := strings.Cut(fields[0], "-")
	major, minor, ok2 := strings.Cut(fields[3], ":")
	if !ok || !ok2 || number(major, 16) < 0 || number(minor, 16) < 0 {
		return mapping{}, false
	}
	path := line[strings.Index(line, " /")+1:]
	return mapping{
		pages:  trimZeros(first) + "-" + trimZeros(last),
		writes: fields[1][1] == 'w' && fields[1][3] == 's',
		device: fmt.Sprintf("%d:%d", number(major, 16), number(minor, 16)),
		path:   strings.ReplaceAll(strings.TrimSuffix(path, "\n"), `\012`, "\n"),
	}, true
}

// trimZeros writes an address as map_files does, without leading zeros.
func trimZeros(address string) string {
	if short := strings.TrimLeft(address, "0"); short != "" {
		return short
	}
	return "0"
}
