package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
)

// A printable is where everything that a command says goes through: text comes from nodes, from
// applications and from files, and must not act on the terminal that shows it. What would is written
// as its escape, which a JSON string may hold as well.
type printable struct {
	w io.Writer

	mu   sync.Mutex
	rest []byte // the beginning of a character whose other bytes have not come yet
}

// Write implements io.Writer.
func (p *printable) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := append(p.rest, b...)
	whole := len(text)
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if at := len(text) - i; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				whole = at
			}
			break
		}
	}
	p.rest = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(p.w, escaped(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// escaped is a text with the escapes of the characters that would act on a terminal, or change the
// order in which it shows others.
func escaped(text string) string {
	acts := func(r rune) bool {
		return r == utf8.RuneError || r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Bidi_Control)
	}
	if !strings.ContainsFunc(text, acts) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case r == utf8.RuneError || !acts(r):
			out.WriteRune(r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		text = text[size:]
	}
	return out.String()
}

// inLine is a text of others that is part of a line, and must not begin one of its own.
var inLine = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace

// terminal returns the terminal that a command writes to, or reads from, if it does.
func terminal(w any) (*os.File, bool) {
	if p, ok := w.(*printable); ok {
		w = p.w
	}
	f, ok := w.(*os.File)
	return f, ok && isatty.IsTerminal(f.Fd())
}

// verbatim returns where the output of an application goes, which is data to who reads it from a file
// or a pipe: to them as it is.
func verbatim(w io.Writer) io.Writer {
	if p, ok := w.(*printable); ok {
		if _, is := terminal(w); !is {
			return p.w
		}
	}
	return w
}
