package main

import (
	"context"

	"ingot/imaging"
	"ingot/imaging/agent"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
)

// newImages fetches images from the daemon.
func newImages(*client.Client) agent.Images { return noImages{} }

// noImages refuses in words: this agent gets as far as a job that carries no image.
type noImages struct{}

// OpenManifest implements agent.Images.
func (noImages) OpenManifest(context.Context, imaging.Digest) (*imaging.Manifest, error) {
	return nil, job.Faultf(job.CodeJobKind, "It fetches no images.")
}

// Fetch implements agent.Images.
func (noImages) Fetch(context.Context, imaging.Digest, []disk.Span, func(uint64, []byte) error) (uint64, error) {
	return 0, job.Faultf(job.CodeJobKind, "It fetches no images.")
}
