package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/drover/drover/cluster"
)

// lineEvery is how often a line says how far a move is where there is no terminal.
const lineEvery = 10 * time.Second

// A moveDisplay shows how moves come along: a bar each on a terminal; elsewhere a line when the phase
// of one changes, and now and then how far it is.
type moveDisplay struct {
	w       io.Writer
	bars    *mpb.Progress // nil when w is no terminal
	stopped chan struct{}
	done    sync.WaitGroup

	mu    sync.Mutex
	moves map[cluster.MoveID]*moveLine
}

// A moveLine is what has been shown of one move.
type moveLine struct {
	bar  *mpb.Bar
	text string
	// last is the move as it was shown last, at that time; newest is as it is.
	last, newest cluster.Move
	seen         time.Time
}

// newMoveDisplay returns a display that the caller must close.
func newMoveDisplay(w io.Writer) *moveDisplay {
	d := &moveDisplay{w: w, moves: map[cluster.MoveID]*moveLine{}, stopped: make(chan struct{})}
	if f, ok := terminal(w); ok {
		d.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond))
		return d
	}
	d.done.Go(d.remind)
	return d
}

// line writes a line of text above the bars.
func (d *moveDisplay) line(text string) {
	if d.bars != nil {
		fmt.Fprintln(d.bars, escaped(text))
		return
	}
	fmt.Fprintln(d.w, text)
}

// show takes the newest state of a move.
func (d *moveDisplay) show(m cluster.Move) {
	d.mu.Lock()
	defer d.mu.Unlock()
	line := d.moves[m.ID]
	if line == nil {
		line = &moveLine{seen: time.Now()}
		d.moves[m.ID] = line
	}
	if d.bars != nil {
		d.draw(line, m)
		return
	}
	line.newest = m
	if was := line.last; was.Phase != m.Phase || was.Reason != m.Reason || len(was.Stats.Rounds) != len(m.Stats.Rounds) {
		d.say(line)
	}
}

// remind says of each move now and then how far it is, also where nothing comes along.
func (d *moveDisplay) remind() {
	ticker := time.NewTicker(lineEvery)
	defer ticker.Stop()
	for {
		select {
		case <-d.stopped:
			return
		case <-ticker.C:
		}
		d.mu.Lock()
		for _, id := range slices.Sorted(maps.Keys(d.moves)) {
			if line := d.moves[id]; !line.newest.Phase.Ended() {
				d.say(line)
			}
		}
		d.mu.Unlock()
	}
}

// say writes a line on a move: where it is, and how fast it got there from where it was. The caller
// holds mu.
func (d *moveDisplay) say(line *moveLine) {
	m := line.newest
	text, now := moveText(m), time.Now()
	what, sent := shipping(m)
	was, before := shipping(line.last)
	if took := now.Sub(line.seen); what != "" && what == was && sent > before && took >= time.Second {
		rate := float64(sent-before) / took.Seconds()
		text += fmt.Sprintf(", %s/s", bytes(int64(rate)))
		if rounds := m.Stats.Rounds; m.Phase == cluster.PhasePrecopy && len(rounds) > 0 {
			if left := rounds[len(rounds)-1].Expect - rounds[len(rounds)-1].Bytes; left > 0 {
				text += fmt.Sprintf(", about %s left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
			}
		}
	}
	line.last, line.seen = m, now
	fmt.Fprintf(d.w, "%s: %s\n", moveSubject(m), text)
}

// shipping is what a move sends now, and how much of that it has sent: there is no rate of two things
// together, nor of none.
func shipping(m cluster.Move) (what string, sent int64) {
	switch f := m.Stats; {
	case m.Phase == cluster.PhasePrecopy && len(f.Rounds) > 0:
		return "rounds", f.PrecopiedBytes()
	case m.Phase == cluster.PhasePrecopy || m.Phase == cluster.PhasePrepare:
		return "image", f.ImageBytes
	case m.Phase == cluster.PhaseFinal:
		return "last round", f.Final.Bytes
	}
	return "", 0
}

// draw moves the bar of a move: it is full when as much was shipped as the volume holds.
func (d *moveDisplay) draw(line *moveLine, m cluster.Move) {
	line.text = escaped(moveText(m))
	if line.bar == nil {
		line.bar = d.bars.AddBar(0,
			mpb.PrependDecorators(decor.Name(escaped(moveSubject(m))+" "), decor.CountersKibiByte("% .1f / % .1f ")),
			mpb.AppendDecorators(
				decor.EwmaSpeed(decor.SizeB1024(0), "% .1f ", 30), decor.EwmaETA(decor.ET_STYLE_GO, 30),
				decor.Any(func(decor.Statistics) string { return "  " + line.text })))
	}
	sent := m.Stats.PrecopiedBytes() + m.Stats.Final.Bytes
	if len(m.Stats.Rounds) == 0 {
		sent = m.Stats.ImageBytes // what comes first has a bar of its own length
	}
	line.bar.SetTotal(max(m.Stats.EstimatedBytes, sent, 1), false)
	now := time.Now()
	line.bar.EwmaSetCurrent(sent, now.Sub(line.seen))
	line.seen = now
	if m.Phase.Ended() {
		line.bar.SetTotal(-1, true)
	}
}

func (d *moveDisplay) close() {
	close(d.stopped)
	d.done.Wait()
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
	switch rounds := m.Stats.Rounds; {
	case m.Phase != cluster.PhasePrecopy:
	case len(rounds) > 0 && rounds[len(rounds)-1].Expect > 0:
		last := rounds[len(rounds)-1]
		text += fmt.Sprintf(" round %d (%s of about %s)", len(rounds), bytes(last.Bytes), bytes(last.Expect))
	case len(rounds) > 0:
		text += fmt.Sprintf(" round %d", len(rounds))
		if sent := rounds[len(rounds)-1].Bytes; sent > 0 {
			text += fmt.Sprintf(" (%s)", bytes(sent))
		}
	case m.Stats.ImageBytes > 0:
		text += fmt.Sprintf(" image (%s)", bytes(m.Stats.ImageBytes))
	}
	if reason := moveReason(m); reason != "" {
		text += ": " + reason
	}
	return inLine(text)
}
