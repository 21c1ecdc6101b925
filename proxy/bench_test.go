package proxy

import (
	"io"
	"net"
	"testing"
	"time"
)

// each runs a benchmark against an endpoint directly and by way of a proxy: only the ratio
// between the two says something.
func each(b *testing.B, handle func(*net.TCPConn), run func(b *testing.B, at string)) {
	endpoint := backend(b, func(c *net.TCPConn) {
		c.SetDeadline(time.Time{})
		handle(c)
	})
	b.Run("direct", func(b *testing.B) { run(b, endpoint) })
	b.Run("proxied", func(b *testing.B) {
		r := newRig(b)
		r.forward(endpoint)
		run(b, address(r.port))
	})
}

func mustDial(b *testing.B, at string) net.Conn {
	b.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkBytes reads bulk from one connection.
func BenchmarkBytes(b *testing.B) {
	const size = 1 << 20
	bulk := func(c *net.TCPConn) {
		buf := make([]byte, size)
		for {
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	}
	each(b, bulk, func(b *testing.B, at string) {
		c := mustDial(b, at)
		defer c.Close()
		buf := make([]byte, size)
		b.SetBytes(size)
		for b.Loop() {
			if _, err := io.ReadFull(c, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkConnections makes connections that each ask once and are answered once.
func BenchmarkConnections(b *testing.B) {
	answer := func(c *net.TCPConn) {
		buf := make([]byte, 100)
		if n, err := c.Read(buf); err == nil {
			c.Write(buf[:n])
		}
	}
	each(b, answer, func(b *testing.B, at string) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c := mustDial(b, at)
				io.WriteString(c, "hello")
				if _, err := io.ReadAll(c); err != nil {
					b.Error(err)
				}
				c.Close()
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conn/s")
	})
}

// BenchmarkRoundTrips sends short messages back and forth on open connections.
func BenchmarkRoundTrips(b *testing.B) {
	echo := func(c *net.TCPConn) { io.Copy(c, c) }
	each(b, echo, func(b *testing.B, at string) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			c := mustDial(b, at)
			defer c.Close()
			message := make([]byte, 100)
			for pb.Next() {
				c.Write(message)
				if _, err := io.ReadFull(c, message); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rt/s")
	})
}
