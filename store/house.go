package store

import (
	"time"

	"ingot/imaging"
)

// Sweep asks for what nothing needs to be removed from the image store.
type Sweep struct {
	DryRun bool `json:"dry_run,omitempty"` // tell, and remove nothing
}

// Swept is the outcome of a Sweep.
type Swept struct {
	DryRun     bool   `json:"dry_run"`
	Manifests  int    `json:"manifests"`   // removed
	Packs      int    `json:"packs"`       // removed; what was needed of them moved
	NewPacks   int    `json:"new_packs"`   // written with what moved
	Chunks     uint64 `json:"chunks"`      // needed
	DeadChunks uint64 `json:"dead_chunks"` // removed
	FreedBytes int64  `json:"freed_bytes"`
	LeftBytes  uint64 `json:"left_bytes"` // not needed, and in packs that are used well enough to stay
	Missing    uint64 `json:"missing"`    // needed chunks that cannot be read: a check names them
	Postponed  int    `json:"postponed"`  // packs that the disk had no room to write anew
}

// Check asks for a proof of records and image store.
type Check struct {
	ReadData bool `json:"read_data,omitempty"` // read every stored byte
	Heal     bool `json:"heal,omitempty"`      // when it is done, fetch from other servers what is lost, and check again
	Percent  int  `json:"percent,omitempty"`   // with ReadData: of the packs, chosen at random; 0 and 100 are all
}

// WantedManifests gives the content that must stay, with the name of whoever needs it: every version's that was not deleted,
// and that of every job that has not ended.
func (tx *Tx) WantedManifests() (map[imaging.Digest]string, error) {
	out := map[imaging.Digest]string{}
	jobs, err := tx.ActiveJobs()
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		if !j.Image.Manifest.IsZero() {
			out[j.Image.Manifest] = "job " + string(j.ID)
		}
	}
	versions, err := tx.Versions("")
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if !v.Deleted {
			out[v.Manifest] = v.Ref().String()
		}
	}
	return out, nil
}

// Scrub is how far the reading of all packs in the background is.
type Scrub struct {
	After   string    `json:"after,omitempty"`  // the name of the last pack that was read in this pass
	Started time.Time `json:"started,omitzero"` // of this pass; zero between two
	Done    int       `json:"done"`             // packs of this pass
	Total   int       `json:"total"`            // as it was known last
	Found   int       `json:"found"`            // damaged things in this pass
	Last    time.Time `json:"last,omitzero"`    // when the last pass over everything ended
	LastHad int       `json:"last_had"`         // what that one found damaged
	Read    uint64    `json:"read"`             // bytes of this pass
}

// Keeping is how the image store is kept.
type Keeping struct {
	Scrub  Scrub `json:"scrub"`
	Locked int   `json:"locked"` // damaged places that are locked away
}

// Scrub reads how far the scrub is.
func (tx *Tx) Scrub() (Scrub, error) { return setting[Scrub](tx, "scrub") }

// PutScrub writes it.
func (tx *Tx) PutScrub(s Scrub) error { return put(tx, bSettings, []byte("scrub"), s) }
