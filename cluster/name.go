package cluster

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A nameRule is what one kind of name may be. Names come from users, from other nodes and from files,
// and go into paths, commands, terminals and the names of others: what is no name is refused here, and
// whoever makes a path of one looks again.
type nameRule struct {
	// shape is what the whole of it looks like; nil: any text without control characters.
	shape *regexp.Regexp
	// most is its length in bytes, or in characters where there is no shape.
	most int
	want string
}

// The rules. The first is Flocker's for the names of containers, with its minimum length lifted.
var (
	plainName = nameRule{regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`), 128,
		"use letters, digits, '_', '.' and '-', starting with a letter or digit"}
	imageName = nameRule{regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.:/@+-]*$`), 512,
		"want an image such as registry:5000/name:tag"}
	optionName = nameRule{regexp.MustCompile(`^[a-z]+\.[a-zA-Z0-9:._-]+$`), 256,
		"want the backend that it is for before its name, such as zfs.recordsize"}
	// Flocker took any text for metadata, within these bounds.
	labelText = nameRule{nil, 256, "want at most 256 characters of text"}
	plainText = nameRule{nil, 4096, "want a line of text"}
)

// fits reports whether s is such a name.
func (r nameRule) fits(s string) bool {
	if r.shape != nil {
		return len(s) <= r.most && r.shape.MatchString(s)
	}
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= r.most
}

// ValidName reports whether s can name an application, a volume, a node, a key or a snapshot: letters,
// digits, '_', '.' and '-', not starting with punctuation, at most 128 bytes. Such a name is also safe
// as a file name.
func ValidName(s string) bool { return plainName.fits(s) }

// CheckName returns an ErrInvalid that says what a valid name is, or nil if s is one.
func CheckName(s string) error {
	if ValidName(s) {
		return nil
	}
	return fmt.Errorf("%w: %s is not a valid name: %s", ErrInvalid, Shown(s), plainName.want)
}

// ValidSnapshotName reports whether a snapshot may be called so, in an order of a user or in what
// another node sends.
func ValidSnapshotName(s SnapshotName) bool { return ValidName(string(s)) }

// shownBytes is how much of a text that may be anything is shown.
const shownBytes = 60

// Shown returns a text that may be anything as people can be shown it: quoted, without what would act
// on a terminal, and not for ever.
func Shown(s string) string {
	if len(s) > shownBytes {
		return strconv.Quote(s[:shownBytes]) + "..."
	}
	return strconv.Quote(s)
}

// Printable returns a text as it is if a terminal shows it as it is, else Shown.
func Printable[T ~string](text T) string {
	if s := string(text); len(s) > plainText.most || !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		return Shown(s)
	}
	return string(text)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

var uuidInText = regexp.MustCompile(`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)

// Told says an error to people: with the names of volumes in place of their ids, and its way out.
func Told(err error, names map[VolumeID]string) string {
	text := Message(err)
	if hint := Hint(err); hint != "" {
		text += " (" + hint + ")"
	}
	return Named(text, names)
}

// Named returns a text for people with the names of volumes in place of their ids. What is part of a
// path, or of a longer name, stays as it is: people look there for it.
func Named(text string, names map[VolumeID]string) string {
	var out strings.Builder
	rest := 0
	for _, at := range uuidInText.FindAllStringIndex(text, -1) {
		name := names[VolumeID(text[at[0]:at[1]])]
		if name == "" || !wordEnds(text[:at[0]], text[at[1]:]) {
			continue
		}
		out.WriteString(text[rest:at[0]])
		out.WriteString(name)
		rest = at[1]
	}
	out.WriteString(text[rest:])
	return out.String()
}

// wordEnds reports whether what is between two texts is a word of its own.
func wordEnds(before, after string) bool {
	const within = "/.-_~"
	plain := func(c byte) bool { return c < utf8.RuneSelf && !unicode.IsLetter(rune(c)) && !unicode.IsDigit(rune(c)) }
	begins := before == "" || plain(before[len(before)-1]) && !strings.ContainsRune(within, rune(before[len(before)-1]))
	sentence := len(after) > 0 && after[0] == '.' && (len(after) == 1 || after[1] == ' ' || after[1] == '\n')
	ends := after == "" || sentence || plain(after[0]) && !strings.ContainsRune(within, rune(after[0]))
	return begins && ends
}

// validateLabels checks what users attach to a volume or a node.
func validateLabels(path string, labels map[string]string, p *Problems) {
	for key, value := range sortedPairs(labels) {
		switch {
		case key == "" || !labelText.fits(key):
			p.add(path, "%s cannot name a label: %s", Shown(key), labelText.want)
		case !labelText.fits(value):
			p.add(path+"."+Printable(key), "%s: %s", Shown(value), labelText.want)
		}
	}
}
