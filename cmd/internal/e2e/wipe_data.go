package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/cert"
)

// secrets is the known random data on a drive, known again by the beginning of each sector.
type secrets struct{ seen map[[16]byte]bool }

const secretSector = 512

func (s *secrets) sectors() int { return len(s.seen) }

// fillSecret fills a whole drive's file with random data.
func fillSecret(path string, seed uint64) (*secrets, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	src := rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8), 31: 'w'})
	s := &secrets{seen: map[[16]byte]bool{}}
	buf := make([]byte, 1<<20)
	for off := int64(0); off < info.Size(); off += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), info.Size()-off)]
		_, _ = src.Read(b) // never fails
		for i := 0; i+secretSector <= len(b); i += secretSector {
			s.seen[[16]byte(b[i:])] = true
		}
		if _, err := f.WriteAt(b, off); err != nil {
			return nil, fmt.Errorf("fill %s: %w", filepath.Base(path), err)
		}
	}
	return s, f.Sync()
}

// left reads a whole file and counts the sectors of the data that are anywhere in it.
func (s *secrets) left(path string) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for {
		k, err := io.ReadFull(f, buf)
		for i := 0; i+16 <= k; i += secretSector {
			if s.seen[[16]byte(buf[i:])] {
				n++
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// waitWritten waits until a part of the data is gone.
func waitWritten(ctx context.Context, s *secrets, path string) error {
	for {
		left, err := s.left(path)
		if err != nil || left < s.sectors()*9/10 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the overwrite: %w", ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

// exported takes the device's certificates out, one file each, oldest first.
func (x *wiping) exported(ctx context.Context, e *Env) ([]string, error) {
	dir, err := os.MkdirTemp(e.Dir, "certificates-")
	if err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "all.json")
	if _, err := x.d.CLI(ctx, "cert", "export", "--of", x.laptop.Serial, "--format", "json", "--out", out); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("read the exported list: %w", err)
	}
	var files []string
	for i, r := range raw {
		path := filepath.Join(dir, fmt.Sprintf("%d.json", i))
		if err := os.WriteFile(path, r, 0o600); err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	return files, nil
}

// certified takes the certificates out, in whatever order they were made, and verifies them without the server; then
// changes every byte of each. by names the technique that each drive wants.
func (x *wiping) certified(ctx context.Context, e *Env, by map[string]wipe.Technique) error {
	files, err := x.exported(ctx, e)
	if err != nil {
		return err
	}
	key, err := cert.KeyOf(x.key)
	if err != nil {
		return err
	}
	got, args := map[string]wipe.Technique{}, []string{"cert", "verify", "--key", x.key}
	for _, path := range files {
		r, err := x.holds(e, path, key)
		if err != nil {
			return err
		}
		got[r.Drive.Serial] = wipe.Technique(r.Sanitised.Technique)
		args = append(args, path)
	}
	if err := checks(same("certificates", len(files), len(by)), same("techniques by drive", fmt.Sprint(got), fmt.Sprint(by))); err != nil {
		return err
	}
	if _, err := x.d.CLI(ctx, args...); err != nil {
		return err
	}
	for _, path := range files {
		bad, err := changedCopy(path)
		if err != nil {
			return err
		}
		if _, err = x.d.CLI(ctx, "cert", "verify", "--key", x.key, bad); !refusedWith(err, job.CodeTampered) {
			return fmt.Errorf("a changed certificate: %v; want %s", err, job.CodeTampered)
		}
	}
	return nil
}

// holds verifies one certificate as it is, and with each of its bytes changed.
func (x *wiping) holds(e *Env, path string, key ed25519.PublicKey) (r cert.Record, err error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if r, err = cert.Verify(file, key); err != nil {
		return r, err
	}
	tried, err := tamperedWith(file, key)
	if err != nil {
		return r, err
	}
	if r.Sanitised == nil {
		return r, fmt.Errorf("%s is no certificate of a wipe", r.ID)
	}
	e.Say("%s: drive %s by %s, claim %s; it verifies, and none of %d files with one byte changed does", r.ID, r.Drive.Serial, r.Sanitised.Technique, r.Sanitised.Claim, tried)
	return r, same("device", r.Device.Serial, x.laptop.Serial)
}

// tamperedWith changes every byte of a certificate, one at a time, and wants none of the files to verify.
func tamperedWith(file []byte, key ed25519.PublicKey) (tried int, err error) {
	for i := range file {
		b := bytes.Clone(file)
		b[i] ^= 0x20
		if _, err := cert.Verify(b, key); err == nil {
			return tried, fmt.Errorf("the certificate verifies with byte %d changed", i)
		}
		tried++
	}
	return tried, nil
}

// changedCopy writes a certificate with one digit of its drive's size changed.
func changedCopy(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	i := bytes.Index(b, []byte(`"size_bytes":`)) + len(`"size_bytes":`)
	b[i] = '1' + ('9'-b[i])%9
	bad := path + ".changed"
	return bad, os.WriteFile(bad, b, 0o600)
}
