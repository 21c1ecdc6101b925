package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// echoServer answers every byte with the same byte, but reads a connection whose first byte is
// 'S' to its end in silence: a sink.
func echoServer() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return l, nil
}

func answer(conn net.Conn) {
	defer conn.Close()
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return
	}
	if first[0] == 'S' {
		io.Copy(io.Discard, conn)
		conn.Write(first[:])
		return
	}
	buffer := make([]byte, 4096)
	buffer[0] = first[0]
	for n := 1; ; {
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
		var err error
		if n, err = conn.Read(buffer); err != nil {
			return
		}
	}
}

// bulk sends for that long over two connections and returns MB/s.
func bulk(ctx context.Context, address string, length time.Duration) (float64, error) {
	var sent atomic.Int64
	block := make([]byte, 256<<10)
	block[0] = 'S'
	return during(ctx, 2, length, func(ctx context.Context) error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		for ctx.Err() == nil {
			n, err := conn.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return err
			}
		}
		conn.(*net.TCPConn).CloseWrite()
		_, err = io.ReadAll(conn)
		return err
	}, func(seconds float64) float64 { return float64(sent.Load()) / 1e6 / seconds })
}

// connections opens, uses for one byte and closes connections, and returns how many a second.
func connections(ctx context.Context, address string, length time.Duration) (float64, error) {
	var done atomic.Int64
	return during(ctx, 16, length, func(ctx context.Context) error {
		var b [1]byte
		for ctx.Err() == nil {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			// An orderly close keeps ports in TIME_WAIT; thousands a second would use them up.
			conn.(*net.TCPConn).SetLinger(0)
			if _, err = conn.Write([]byte("e")); err == nil {
				_, err = io.ReadFull(conn, b[:])
			}
			conn.Close()
			if err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	}, func(seconds float64) float64 { return float64(done.Load()) / seconds })
}

// roundTrips sends 64 bytes back and forth on open connections, and returns how many a second.
func roundTrips(ctx context.Context, address string, length time.Duration) (float64, error) {
	var done atomic.Int64
	return during(ctx, 8, length, func(ctx context.Context) error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		b := []byte("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee")
		for ctx.Err() == nil {
			if _, err := conn.Write(b); err != nil {
				return err
			}
			if _, err := io.ReadFull(conn, b); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	}, func(seconds float64) float64 { return float64(done.Load()) / seconds })
}

// during runs workers for that long and returns the rate of what they did.
func during(ctx context.Context, workers int, length time.Duration, work func(context.Context) error, rate func(seconds float64) float64) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	errs := make([]error, workers)
	var group sync.WaitGroup
	began := time.Now()
	for i := range workers {
		group.Go(func() { errs[i] = work(ctx) })
	}
	group.Wait()
	seconds := time.Since(began).Seconds()
	for _, err := range errs {
		if err != nil {
			return 0, fmt.Errorf("load: %w", err)
		}
	}
	return rate(seconds), nil
}
