package library

import "ingot/imaging/chunkstore"

// stored is a disk of the library as capture reads one.
type stored struct{ *chunkstore.Disk }

func (d stored) SectorSize() int                                  { return d.Header().SectorSize }
func (d stored) NextData(off int64) (start, end int64, err error) { return off, d.Size(), nil }
func (d stored) Unchanged() error                                 { return nil }
