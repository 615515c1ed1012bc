package main

import (
	"ingot/imaging/agent"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job/client"
)

// newImages fetches images over the daemon's pinned and bound connection.
func newImages(c *client.Client) agent.Images {
	return &chunkstore.Client{HTTP: c.HTTP(), Base: c.Base()}
}
