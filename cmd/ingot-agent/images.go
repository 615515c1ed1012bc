package main

import (
	"ingot/imaging/chunkstore"
	"ingot/imaging/job/client"
)

// newImages fetches images, and sends captures, over the daemon's pinned and bound connection.
func newImages(c *client.Client) *chunkstore.Client {
	return &chunkstore.Client{HTTP: c.HTTP(), Base: c.Base()}
}
