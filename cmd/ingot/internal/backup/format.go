package backup

import (
	"regexp"
	"time"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
)

// Format is the number of the layout that doc.go draws.
const Format = 1

// The names in the archive that stand for themselves.
const (
	headName   = "ingot-backup.json"
	endName    = "end.json"
	dbName     = "ingot.db"
	configName = "ingot.toml"
	jobsKey    = "keys/jobs.key"
	agentKey   = "keys/agent.key"
)

// Head is the first file of a backup.
type Head struct {
	Format  int            `json:"format"`
	Schema  int            `json:"schema"`  // of the database
	Version string         `json:"version"` // of the Ingot that made it
	Made    time.Time      `json:"made"`
	Packs   bool           `json:"packs"`  // with the images' data
	Events  uint64         `json:"events"` // of the audit trail
	Head    imaging.Digest `json:"head"`   // the newest event's hash
}

// End is the last file of a backup.
type End struct {
	Files int   `json:"files"` // between Head and End
	Bytes int64 `json:"bytes"` // of these files
}

// maxSmall bounds a file that is held in memory or is no content: keys, configuration, Head and End.
const maxSmall = 1 << 20

// workFactor is log2 of scrypt's N: 128 MB and about half a second for each guess at a passphrase.
const workFactor = 17

var keyFile = regexp.MustCompile(`^keys/[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// known reports whether a backup of this format may hold a file of this name.
func known(name string) bool {
	return name == dbName || name == configName || keyFile.MatchString(name) || chunkstore.FileName(name)
}
