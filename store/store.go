package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"

	"ingot/imaging/job"
	"ingot/imaging/sign"
)

// Schema is the number of the bucket tree that doc.go draws.
const Schema = 4

// migration turns a tree of one schema into the next one's.
type migration func(*bbolt.Tx) error

// migrations holds under n the step from schema n to n+1.
var migrations = map[int]migration{1: factsFromKeys, 2: currentOf2, 3: nothingNew}

// buckets are all top-level buckets.
var buckets = []string{bMeta, bAudit, bDevices, bByFact, bShared, bByName, bImages, bVersions, bContents, bRoles, bJobs, bActive,
	bDeployments, bByDevice, bAgents, bTokens, bTokenOf, bBoots, bGuards, bLeases, bSequences, bRequests, bSettings, bTallies, bStatements, bTrusted, bPeers,
	bDrives, bDriveBy, bEvidence, bEvidenceID, bEvidenceBy,
	bOperators, bSessions, bLinks, bAPITokens, bNotices,
	bTargets, bStands, bOutbox, bDead, bRegistered, bEntitlements}

const (
	bMeta        = "meta"
	bAudit       = "audit"
	bDevices     = "devices"
	bByFact      = "device-by-fact"
	bShared      = "shared-facts"
	bByName      = "device-by-name"
	bImages      = "images"
	bVersions    = "versions"
	bContents    = "contents"
	bRoles       = "roles"
	bJobs        = "jobs"
	bActive      = "job-active"
	bDeployments = "deployments"
	bByDevice    = "deployment-by-device"
	bAgents      = "agents"
	bTokens      = "tokens"
	bTokenOf     = "token-by-machine"
	bBoots       = "boots"
	bGuards      = "guards"
	bLeases      = "leases"
	bSequences   = "sequences"
	bRequests    = "requests"
	bSettings    = "settings"
	bTallies     = "tallies"
	bStatements  = "statements"
	bTrusted     = "trusted-keys"
	bPeers       = "peers"
	bDrives      = "drives"
	bDriveBy     = "drive-by-device"
	bEvidence    = "certificates"
	bEvidenceID  = "certificate-by-id"
	bEvidenceBy  = "certificate-by-drive"
	bOperators   = "operators"
	bSessions    = "sessions"
	bLinks       = "operator-links"
	bAPITokens   = "api-tokens"
	bNotices     = "notices"
	bTargets     = "push-targets"
	bStands      = "push-stands"
	bOutbox      = "outbox"
	bDead        = "dead-letters"
	bRegistered  = "registered"

	bEntitlements = "entitlements"
)

// Options change how a database is opened; the zero value is right for the daemon.
type Options struct {
	Timeout time.Duration    // how long to wait for another process to let go; 0 means one second
	Now     func() time.Time // the clock of records; nil means time.Now
	Signer  *sign.Signer     // signs what is said about each Version; nil leaves them unsigned
}

// DB is the open database. Its methods may be called from any goroutine.
type DB struct {
	b     *bbolt.DB
	now   func() time.Time
	sign  *sign.Signer
	full  atomic.Bool // the last write found no room
	heads *heads      // of the starts that are remembered

	lostHead bool // when it was opened, one of the file's two heads did not hold
}

// Tx is one transaction. It must not be used after the function that received it has returned.
type Tx struct {
	b    *bbolt.Tx
	now  time.Time
	sign *sign.Signer

	heads   *heads            // nil in a migration, which looks for none
	tallies map[string]*tally // of the buckets that it changed; nil where nothing may be changed
}

// Open opens or makes the database at path. It returns ErrLocked when another process holds it, and ErrNewer
// when a newer Ingot wrote it; an older schema is copied to path.schemaN and migrated.
func Open(path string, opts Options) (*DB, error) { return open(path, opts, Schema, migrations) }

func open(path string, opts Options, schema int, steps map[int]migration) (*DB, error) {
	if opts.Timeout == 0 {
		opts.Timeout = time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	lostHead, err := checkBefore(path, opts.Timeout)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: opts.Timeout})
	if errors.Is(err, bolterr.ErrTimeout) {
		return nil, fmt.Errorf("open %s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, full(err))
	}
	if err := prepare(b, path, schema, steps); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, full(err)), b.Close())
	}
	return &DB{b: b, now: opts.Now, sign: opts.Signer, heads: &heads{}, lostHead: lostHead}, nil
}

// prepare brings the file to the wanted schema and makes missing buckets. A file that has them is not written to: a
// daemon starts with a full disk too.
func prepare(b *bbolt.DB, path string, schema int, steps map[int]migration) error {
	have, err := schemaOf(b)
	if err != nil {
		return err
	}
	if have > schema {
		return fmt.Errorf("%w: schema %d, this Ingot knows %d", ErrNewer, have, schema)
	}
	if have != 0 && have < schema {
		if err := keepCopy(b, fmt.Sprintf("%s.schema%d", path, have)); err != nil {
			return fmt.Errorf("copy before migrating: %w", err)
		}
	}
	if have == schema && complete(b) {
		return nil
	}
	return b.Update(func(tx *bbolt.Tx) error {
		counted := tx.Bucket([]byte(bTallies)) != nil && have == schema
		for n := have; n != 0 && n < schema; n++ {
			step, ok := steps[n]
			if !ok {
				return fmt.Errorf("no migration from schema %d", n)
			}
			if err := step(tx); err != nil {
				return fmt.Errorf("migrate schema %d: %w", n, err)
			}
		}
		before := have != 0 && tx.Bucket([]byte(bDrives)) == nil
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		if before {
			if err := oweSince(tx); err != nil {
				return fmt.Errorf("take down the drives of what came back: %w", err)
			}
			counted = false
		}
		if err := tx.Bucket([]byte(bMeta)).Put([]byte("schema"), []byte(strconv.Itoa(schema))); err != nil || counted {
			return err
		}
		return recount(tx)
	})
}

// complete reports whether every bucket is there.
func complete(b *bbolt.DB) bool {
	return b.View(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if tx.Bucket([]byte(name)) == nil {
				return ErrNotFound
			}
		}
		return nil
	}) == nil
}

// schemaOf gives the file's schema, 0 for a new file.
func schemaOf(b *bbolt.DB) (n int, err error) {
	err = b.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket([]byte(bMeta))
		if meta == nil {
			return nil
		}
		n, err = strconv.Atoi(string(meta.Get([]byte("schema"))))
		if err != nil {
			return fmt.Errorf("read schema: %w", ErrDamaged)
		}
		if tx.Bucket([]byte(bTallies)) == nil {
			return nil
		}
		if ok, _, _, err := (&Tx{b: tx}).holds(bMeta); err != nil || !ok {
			return errors.Join(fmt.Errorf("read schema: %w", ErrDamaged), err) // a wrong number would migrate what needs none
		}
		return nil
	})
	return n, err
}

// keepCopy writes the whole file to path, synced, before a migration changes it.
func keepCopy(b *bbolt.DB, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".copy-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = b.View(func(tx *bbolt.Tx) error { _, err := tx.WriteTo(f); return err })
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Close ends the database; it waits for open transactions.
func (db *DB) Close() error { return db.b.Close() }

// View runs f in a transaction that reads one consistent state.
func (db *DB) View(f func(*Tx) error) error {
	return db.b.View(func(tx *bbolt.Tx) error { return f(&Tx{b: tx, now: db.now().UTC(), sign: db.sign, heads: db.heads}) })
}

// Update runs f in the one writing transaction; when f returns an error nothing of it is kept. It returns
// after the records are on disk. When the disk has no room the error holds a *job.Fault of job.CodeFull.
func (db *DB) Update(f func(*Tx) error) error {
	var own error // f's, which is no word about the disk
	err := db.b.Update(func(b *bbolt.Tx) error {
		tx := &Tx{b: b, now: db.now().UTC(), sign: db.sign, heads: db.heads, tallies: map[string]*tally{}}
		if own = f(tx); own != nil {
			return own
		}
		return tx.flush()
	})
	if own != nil {
		return own
	}
	err = full(err)
	db.full.Store(job.FaultOf(err).Code == job.CodeFull)
	return err
}

// Backup streams a consistent copy of the database while it is in use.
func (db *DB) Backup(w io.Writer) error {
	_, err := db.Snapshot(w)
	return err
}

// Snapshot is Backup, and gives the newest audit event in the copy.
func (db *DB) Snapshot(w io.Writer) (newest Event, err error) {
	err = db.View(func(tx *Tx) (err error) {
		if newest, _, err = tx.AuditHead(); err == nil {
			_, err = tx.b.WriteTo(w)
		}
		return err
	})
	return newest, err
}

// Now is the time by the clock of records, in UTC.
func (db *DB) Now() time.Time { return db.now().UTC() }

// After has f called once the transaction is on disk; never, when it is given up. For what must not be seen by anybody
// before the records are.
func (tx *Tx) After(f func()) { tx.b.OnCommit(f) }

// Now is the time of this transaction, in UTC.
func (tx *Tx) Now() time.Time { return tx.now }
