package deploy

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	linePattern   = regexp.MustCompile(`^yaml: line (\d+): `)
	anchorPattern = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced`)
)

// syntaxError finds the line of an error of the YAML library, which often tells none.
func syntaxError(s Source, err error) Error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := linePattern.FindStringSubmatch(err.Error()); m != nil {
		message = strings.TrimPrefix(err.Error(), m[0])
		line, _ = strconv.Atoi(m[1]) // digits
		if strings.HasPrefix(message, "did not find expected") {
			line++ // the parser, unlike the scanner, counts lines from 0
		}
		last := 1 + bytes.Count(bytes.TrimRight(s.Data, "\n"), []byte("\n"))
		line = min(line, last) // at the end of the file it points behind it
	} else if m := anchorPattern.FindStringSubmatch(err.Error()); m != nil {
		before, _, _ := bytes.Cut(s.Data, []byte("*"+m[1]))
		line += bytes.Count(before, []byte("\n"))
	} else if i := firstUnreadable(s.Data); i >= 0 {
		line += bytes.Count(s.Data[:i], []byte("\n"))
	}
	return Error{File: s.Name, Line: line, Message: "is not YAML: " + message}
}

// firstUnreadable returns the index of the first byte that YAML refuses to read, or -1.
func firstUnreadable(data []byte) int {
	return bytes.IndexFunc(data, func(r rune) bool {
		return r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' && r != '\r'
	})
}
