package library

import (
	"context"
	"time"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/store"
)

// checkedEvery is how often a check tells how far it is.
const checkedEvery = 500 * time.Millisecond

// Check proves the whole store: every pack and manifest is there at its full length and every Version's chunks
// are held; with readData every stored byte is read and compared by digest. Each damaged thing is named by
// file, offset and chunk with the Versions that it hits. An error means that the check could not be made.
func (l *Library) Check(ctx context.Context, readData bool, tell func(store.Work)) (store.Checked, error) {
	versions, err := l.Images(ctx)
	if err != nil {
		return store.Checked{}, err
	}
	names, kept := map[imaging.Digest][]string{}, 0
	for _, v := range versions {
		if v.Deleted {
			continue // its content may be gone, and nobody misses it
		}
		kept++
		names[v.Manifest] = append(names[v.Manifest], v.Ref().String())
	}
	report, err := l.Store.Check(ctx, chunkstore.CheckOptions{ReadData: readData, Versions: names, Progress: teller(tell)})
	if err != nil {
		return store.Checked{}, err
	}
	out := store.Checked{Versions: kept, Chunks: report.Chunks, Bytes: report.Bytes, More: report.More}
	for _, p := range report.Problems {
		out.Damage = append(out.Damage, store.Damage{What: p.String(), Versions: p.Versions})
	}
	unsigned, err := l.checkSigned()
	out.Damage = append(out.Damage, unsigned...)
	return out, err
}

// teller turns counted bytes into progress with rate and time left, a few times a second.
func teller(tell func(store.Work)) func(done, total uint64) {
	started := time.Now()
	var told time.Time
	return func(done, total uint64) {
		now := time.Now()
		if now.Sub(told) < checkedEvery && done < total {
			return
		}
		told = now
		w := store.Work{Phase: "checking", DoneBytes: done, TotalBytes: total, SecondsLeft: -1}
		if s := now.Sub(started).Seconds(); s > 0 && done > 0 {
			w.BytesPerSec = uint64(float64(done) / s)
			w.SecondsLeft = int(float64(total-done) * s / float64(done))
		}
		tell(w)
	}
}
