package disk

import (
	"sync/atomic"

	"ingot/imaging"
)

// Progress counts what a Restore has done, in bytes; it is read while Run runs.
type Progress struct {
	Done    atomic.Uint64 // image bytes that are on the disk: written or found there
	Proven  atomic.Uint64 // of them, those that were read back
	Fetched atomic.Uint64 // stored bytes that travelled
	Written atomic.Uint64
	Kept    atomic.Uint64 // image bytes that the disk held already
}

// tally counts the evidence of a ContentProof.
type tally struct{ data, zero, free, bytes atomic.Uint64 }

// prove counts one extent that was read from the drive and is what the manifest says. The part that is held in
// memory is not counted as read: commit reads that back.
func (r *run) prove(e imaging.Extent) {
	if e.Kind == imaging.Data {
		r.tally.data.Add(1)
	} else {
		r.tally.zero.Add(1)
	}
	held := uint64(0)
	if h := uint64(len(r.target.head)); e.Offset < h {
		held = min(h, e.End()) - e.Offset
	}
	r.tally.bytes.Add(e.Length - held)
	r.progress.Proven.Add(e.Length)
}
