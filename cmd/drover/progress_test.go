package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
)

// TestALongMoveIsNotSilent: where there is no terminal, a line now and then says how far it is, how fast
// it gets on and how long it will take, or that it gets no further.
func TestALongMoveIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out output
		d := newMoveDisplay(&out)
		m := cluster.Move{ID: "m", Application: "db", Phase: cluster.PhasePrepare}
		d.show(m)
		m.Phase, m.Stats.Rounds = cluster.PhasePrecopy, []cluster.Round{{Expect: 200 << 20}}
		d.show(m)
		for range 24 { // 24 s at 5 MiB/s
			time.Sleep(time.Second / 2)
			m.Stats.Rounds = []cluster.Round{{Bytes: m.Stats.Rounds[0].Bytes + 5<<20, Expect: 200 << 20}}
			d.show(m)
			time.Sleep(time.Second / 2)
		}
		time.Sleep(10 * time.Second)
		m.Phase, m.Stats.Rounds = cluster.PhaseHold, []cluster.Round{{Bytes: 200 << 20, Expect: 200 << 20}}
		d.show(m)
		time.Sleep(5 * time.Second)
		m.Phase = cluster.PhaseDone
		d.show(m)
		time.Sleep(time.Minute)
		d.close()
		want := `db: prepare
db: precopy round 1 (0 B of about 200 MiB)
db: precopy round 1 (50 MiB of about 200 MiB), 5.0 MiB/s, about 30s left
db: precopy round 1 (100 MiB of about 200 MiB), 5.0 MiB/s, about 20s left
db: precopy round 1 (120 MiB of about 200 MiB), 2.0 MiB/s, about 40s left
db: hold
db: done
`
		if got := out.text.String(); got != want {
			t.Errorf("it said\n%s\nwant\n%s", got, want)
		}
	})
}

// TestTheRateOfAVolumeIsNotThatOfItsImage: of which much more may be shipped before.
func TestTheRateOfAVolumeIsNotThatOfItsImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out output
		d := newMoveDisplay(&out)
		m := cluster.Move{ID: "m", Application: "db", Phase: cluster.PhasePrecopy}
		d.show(m)
		time.Sleep(5 * time.Second)
		m.Stats.ImageBytes = 50 << 20
		d.show(m)
		time.Sleep(6 * time.Second) // a line after 10
		m.Stats.ImageBytes, m.Stats.Rounds = 300<<20, []cluster.Round{{Bytes: 1100}}
		d.show(m)
		time.Sleep(2 * time.Second)
		m.Phase, m.Stats.Final = cluster.PhaseFinal, cluster.Round{Bytes: 100}
		d.show(m)
		d.close()
		want := "db: precopy\ndb: precopy image (50 MiB), 5.0 MiB/s\ndb: precopy round 1 (1.1 KiB)\ndb: final\n"
		if got := out.text.String(); got != want {
			t.Errorf("it said\n%s\nwant\n%s", got, want)
		}
	})
}

// TestAProofIsShownOfWhatIsThere: of nothing that was rolled back, nor of what an operator accepted instead.
func TestAProofIsShownOfWhatIsThere(t *testing.T) {
	for want, m := range map[string]cluster.Move{
		"proof that both copies are equal: sha256 12": {Phase: cluster.PhaseDone, Stats: cluster.Stats{Proof: "sha256 12"}},
		"no proof: something else":                    {Phase: cluster.PhaseDone, Stats: cluster.Stats{Accepted: "something else"}},
		"":                                            {Phase: cluster.PhaseRolledBack, Stats: cluster.Stats{Proof: "sha256 12"}},
	} {
		var out strings.Builder
		printMove(&out, m)
		if got := out.String(); strings.Contains(got, "proof") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("a move that is %s says %s, want %q", m.Phase, got, want)
		}
	}
}
