package localcluster

import (
	"fmt"
	"math/rand/v2"
	"net"

	"github.com/drover/drover/cluster"
)

// chooseNetwork picks a loopback network on which no other cluster runs, unless one is set.
func (c *Cluster) chooseNetwork() error {
	if c.On != nil {
		return nil
	}
	if c.Network != "" {
		if ip := net.ParseIP(c.Network + ".1"); ip.To4() == nil {
			return fmt.Errorf("%w: network %s: want the first three numbers of its addresses, such as 127.1.2", cluster.ErrInvalid, c.Network)
		}
		return c.free(c.Network)
	}
	var err error
	for range 50 {
		network := fmt.Sprintf("127.%d.%d", 16+rand.IntN(200), rand.IntN(256))
		if err = c.free(network); err == nil {
			c.Network = network
			return nil
		}
	}
	return err
}

// free reports whether the control service could listen in that network.
func (c *Cluster) free(network string) error {
	l, err := net.Listen("tcp", fmt.Sprintf("%s.1:%d", network, ControlPort))
	if err != nil {
		return fmt.Errorf("use the network %s.0/24: %w", network, err)
	}
	return l.Close()
}
