package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/drover/drover/cluster"
)

// A moveDisplay shows how moves come along: a bar each on a terminal, a line per phase elsewhere.
type moveDisplay struct {
	w     io.Writer
	bars  *mpb.Progress // nil when w is no terminal
	moves map[cluster.MoveID]*moveLine
}

// A moveLine is what has been shown of one move.
type moveLine struct {
	bar    *mpb.Bar
	phase  cluster.Phase
	reason string
	round  int
	seen   time.Time
	text   string
}

func newMoveDisplay(w io.Writer) *moveDisplay {
	d := &moveDisplay{w: w, moves: map[cluster.MoveID]*moveLine{}}
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		d.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond))
	}
	return d
}

// line writes a line of text above the bars.
func (d *moveDisplay) line(text string) {
	if d.bars != nil {
		fmt.Fprintln(d.bars, text)
		return
	}
	fmt.Fprintln(d.w, text)
}

// show takes the newest state of a move.
func (d *moveDisplay) show(m cluster.Move) {
	line := d.moves[m.ID]
	if line == nil {
		line = &moveLine{seen: time.Now()}
		d.moves[m.ID] = line
	}
	if d.bars != nil {
		d.draw(line, m)
		return
	}
	if line.phase != m.Phase || line.reason != m.Reason || line.round != len(m.Figures.Rounds) {
		fmt.Fprintf(d.w, "%s: %s\n", moveSubject(m), moveText(m))
	}
	line.phase, line.reason, line.round = m.Phase, m.Reason, len(m.Figures.Rounds)
}

// draw moves the bar of a move: it is full when as much was shipped as the volume holds.
func (d *moveDisplay) draw(line *moveLine, m cluster.Move) {
	line.text = moveText(m)
	if line.bar == nil {
		line.bar = d.bars.AddBar(0,
			mpb.PrependDecorators(decor.Name(moveSubject(m)+" "), decor.CountersKibiByte("% .1f / % .1f ")),
			mpb.AppendDecorators(
				decor.EwmaSpeed(decor.SizeB1024(0), "% .1f ", 30), decor.EwmaETA(decor.ET_STYLE_GO, 30),
				decor.Any(func(decor.Statistics) string { return "  " + line.text })))
	}
	shipped := m.Figures.PrecopiedBytes() + m.Figures.Final.Bytes
	if len(m.Figures.Rounds) == 0 {
		shipped = m.Figures.ImageBytes // what comes first has a bar of its own length
	}
	line.bar.SetTotal(max(m.Figures.EstimatedBytes, shipped, 1), false)
	now := time.Now()
	line.bar.EwmaSetCurrent(shipped, now.Sub(line.seen))
	line.seen = now
	if m.Phase.Ended() {
		line.bar.SetTotal(-1, true)
	}
}

func (d *moveDisplay) close() {
	if d.bars == nil {
		return
	}
	for _, line := range d.moves {
		line.bar.Abort(false)
	}
	d.bars.Wait()
}

func moveText(m cluster.Move) string {
	text := string(m.Phase)
	switch rounds := m.Figures.Rounds; {
	case m.Phase != cluster.PhasePrecopy:
	case len(rounds) > 0 && rounds[len(rounds)-1].Expect > 0:
		last := rounds[len(rounds)-1]
		text += fmt.Sprintf(" round %d (%s of about %s)", len(rounds), bytes(last.Bytes), bytes(last.Expect))
	case len(rounds) > 0:
		text += fmt.Sprintf(" round %d (%s)", len(rounds), bytes(rounds[len(rounds)-1].Bytes))
	case m.Figures.ImageBytes > 0:
		text += fmt.Sprintf(" image (%s)", bytes(m.Figures.ImageBytes))
	}
	if reason := moveReason(m); reason != "" {
		text += ": " + reason
	}
	return text
}
