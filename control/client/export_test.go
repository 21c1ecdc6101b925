package client

import "time"

// WaitWithHeartbeats sets how long polls last at least in which heartbeats go.
func (c *Client) WaitWithHeartbeats(d time.Duration) { c.heart.wait = d }
