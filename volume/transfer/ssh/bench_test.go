package ssh

import (
	"testing"

	"github.com/drover/drover/volume/transfer"
)

// BenchmarkSend measures bytes over loopback, from memory to nowhere.
func BenchmarkSend(b *testing.B) {
	n := serve(b, stub{receive: discard})
	session, err := n.transport.Dial(b.Context(), n.node)
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	const size = 256 << 20
	b.SetBytes(size)
	for b.Loop() {
		d := newDelta()
		if _, err := session.Send(b.Context(), d, zeros(size), transfer.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSendSmall measures the last round of a move: 1 MB on a connection that is open.
func BenchmarkSendSmall(b *testing.B) {
	n := serve(b, stub{receive: discard})
	session := dial(b, n)
	for b.Loop() {
		if _, err := session.Send(b.Context(), newDelta(), zeros(1<<20), transfer.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
