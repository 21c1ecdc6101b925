package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// A mutant is one planted bug: a line of the source, and what a tired colleague could have written.
type mutant struct {
	name string
	area area
	// file is relative to the top of the tree. Line is in it once; indentation does not count. Planted
	// takes its place; empty: the line is gone.
	file, line, planted string
	// breaks is what it would break for a user, and promise which promise that is.
	breaks  string
	promise promise
}

// area is the part of the program that a bug is planted in.
type area string

const (
	rules   area = "rules"
	plans   area = "plan"
	handoff area = "handoff"
	journal area = "journal"
	mounts  area = "mounts"
)

// A promise is one of docs/promises.md, or what other pages there say.
type promise string

const (
	oneWriter   promise = "one writer"
	nothingLost promise = "no acknowledged write is lost"
	moveEnds    promise = "a move ends"
	noSilence   promise = "nothing is overwritten in silence"
	notTaken    promise = "no volume is taken away under a container"
	asDescribed promise = "what the pages of docs/ say"
)

// plant returns the text of the mutant's file with the bug in it. That its line is not there, or there
// twice, is a fault of the list.
func (m mutant) plant(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	lines, at := strings.Split(string(text), "\n"), -1
	for i, line := range lines {
		if strings.TrimSpace(line) != m.line {
			continue
		}
		if at >= 0 {
			return "", fmt.Errorf("%s: lines %d and %d are both %q", m.file, at+1, i+1, m.line)
		}
		at = i
	}
	if at < 0 {
		return "", fmt.Errorf("%s: no line is %q any more", m.file, m.line)
	}
	lines[at] = strings.Replace(lines[at], m.line, m.planted, 1)
	planted := strings.Join(lines, "\n")
	if _, err := parser.ParseFile(token.NewFileSet(), m.file, planted, 0); err != nil {
		return "", fmt.Errorf("planted: %w", err)
	}
	return planted, nil
}

// packages are those whose unit tests should catch it: its own, and the one that uses that.
func (m mutant) packages() []string {
	own := filepath.Dir(m.file)
	return []string{own, filepath.Dir(own)}
}
