package library

import (
	"context"
	"errors"
	"time"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/store"
)

// toldEvery is how often a check or a sweep tells how far it is.
const toldEvery = 500 * time.Millisecond

// Check proves records and store: every record holds and none is lost; every pack and manifest is there at its full
// length, and every Version's chunks are held; with ReadData every stored byte, or those of some packs, is read and
// compared by digest. Each damaged thing is named by record, or by file, offset and chunk, with the Versions that it
// hits. An error means that the check could not be made.
//
// With Heal, what is lost is then fetched from the other servers that this one knows, and all is proven again. Where
// that does not succeed, the damage is named all the same.
func (l *Library) Check(ctx context.Context, o store.Check, tell func(store.Work)) (store.Checked, error) {
	out, err := l.check(ctx, o, tell)
	if err != nil || !o.Heal || len(out.Damage) == 0 {
		return out, err
	}
	healed, err := l.Store.Heal(ctx, l)
	if ctx.Err() != nil { // nobody knows now what is whole
		return store.Checked{}, errors.Join(ctx.Err(), err)
	}
	if err != nil {
		out.Unhealed = job.FaultOf(err)
		return out, nil
	}
	if healed.Chunks > 0 {
		out, err = l.check(ctx, o, tell)
	}
	out.Healed = healed.Chunks
	return out, err
}

func (l *Library) check(ctx context.Context, o store.Check, tell func(store.Work)) (store.Checked, error) {
	records, err := l.DB.CheckRecords()
	if err != nil {
		return store.Checked{}, err
	}
	names, versions := map[imaging.Digest][]string{}, 0
	var holders map[string][]string
	err = l.DB.View(func(tx *store.Tx) error {
		holders = tx.VersionHolders()
		return tx.ReadableVersions(func(v store.Version) {
			if v.Deleted {
				return // its content may be gone, and nobody misses it
			}
			versions++
			names[v.Manifest] = append(names[v.Manifest], v.Ref().String())
		})
	})
	if err != nil {
		return store.Checked{}, err
	}
	p := teller(tell)
	report, err := l.Store.Check(ctx, chunkstore.CheckOptions{ReadData: o.ReadData, Percent: o.Percent, Versions: names,
		Progress: func(done, total uint64) { p("checking", done, total) }})
	if err != nil {
		return store.Checked{}, err
	}
	out := store.Checked{Versions: versions, Records: records.Records, Chunks: report.Chunks, Bytes: report.Bytes, Packs: report.Packs, PacksRead: report.Read, Damage: records.Damage, More: records.More + report.More}
	for _, p := range report.Problems {
		out.Damage = append(out.Damage, store.Damage{What: p.String(), Versions: p.Versions})
	}
	unsigned, err := l.checkSigned()
	if err != nil {
		return store.Checked{}, err
	}
	out.Damage = append(out.Damage, unsigned...)
	for i, d := range out.Damage {
		for _, v := range d.Versions {
			out.Damage[i].Devices = append(out.Damage[i].Devices, holders[v]...)
		}
	}
	return out, nil
}

// teller turns counted bytes into progress with rate and time left, a few times a second.
func teller(tell func(store.Work)) func(phase string, done, total uint64) {
	started := time.Now()
	var told time.Time
	var last string
	return func(phase string, done, total uint64) {
		now := time.Now()
		if phase == last && now.Sub(told) < toldEvery && done < total {
			return
		}
		told, last = now, phase
		w := store.Work{Phase: phase, DoneBytes: done, TotalBytes: total, SecondsLeft: -1}
		if s := now.Sub(started).Seconds(); s > 0 && done > 0 && phase != "marking" {
			w.BytesPerSec = uint64(float64(done) / s)
			w.SecondsLeft = int(float64(total-done) * s / float64(done))
		}
		tell(w)
	}
}
