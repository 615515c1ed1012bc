package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ingot/cmd/internal/lab"
	"ingot/imaging"
	"ingot/imaging/job"
)

// damageCases damage the image or the drive: the cause is named, no Deployment is recorded, and nothing starts
// from the drive.
func damageCases() []Case {
	return []Case{
		{"corrupt-chunk", "a bit flipped in the stored image: a plain cause, no Deployment, a drive that does not boot", nil, func(ctx context.Context, e *Env) error {
			return damagedImage(ctx, e, flipBit)
		}},
		{"truncated-pack", "a pack cut short under a running daemon: a plain cause, no Deployment, a drive that does not boot; the next order is refused", nil, truncatedPack},
		{"lying-disk", "a drive that acknowledges one write and keeps its old bytes: the read-back names the offset, nothing is recorded", nil, lyingDisk},
		{"disk-error", "a drive that refuses a write, a flush or a read: each is named, nothing is recorded", nil, diskError},
	}
}

// damagedImage damages a pack of the imported image while no daemon runs, and deploys from it onto a drive that could
// start.
func damagedImage(ctx context.Context, e *Env, damage func(pack string) error) error {
	x, err := smallBench(ctx, e, 48)
	if err != nil {
		return err
	}
	if err := x.d.Stop(); err != nil {
		return err
	}
	if err := damageLargest(x.d, damage); err != nil {
		return err
	}
	if err := x.d.Start(ctx); err != nil {
		return err
	}
	if _, err := fitUsed(ctx, e, x.laptop); err != nil {
		return err
	}
	if err := x.meetAndOrder(ctx, e); err != nil {
		return err
	}
	return x.failsOnDamage(ctx, e)
}

// truncatedPack cuts a pack short under a daemon that does not know of it when the order comes. Once it knows, it takes
// no order for that image any more, so that no second laptop is overwritten for nothing.
func truncatedPack(ctx context.Context, e *Env) error {
	x, err := smallBench(ctx, e, 48)
	if err != nil {
		return err
	}
	if _, err := fitUsed(ctx, e, x.laptop); err != nil {
		return err
	}
	if err := x.meet(ctx, e); err != nil {
		return err
	}
	if err := damageLargest(x.d, cutShort); err != nil {
		return err
	}
	if err := x.orderSmall(ctx, e); err != nil {
		return err
	}
	if err := x.failsOnDamage(ctx, e); err != nil {
		return err
	}
	refused := &ExitError{}
	if err := x.orderSmall(ctx, e); !asExit(err, &refused) {
		return checks(err, that(err != nil, "the order was taken although the damage is known"))
	}
	e.Say("the next order is refused: %s", strings.TrimSpace(refused.Words))
	return that(strings.Contains(refused.Words, string(job.CodeLocked)), "the next order was refused with %q; want %s", refused.Words, job.CodeLocked)
}

func damageLargest(d *Daemon, damage func(pack string) error) error {
	pack, err := largestPack(d)
	if err != nil {
		return err
	}
	return damage(pack)
}

// failsOnDamage holds that the running deploy fails by the damage, that the check names it, and that nothing starts.
func (x *running) failsOnDamage(ctx context.Context, e *Env) error {
	if _, err := x.failsPlainly(ctx, e, job.CodeChunk); err != nil {
		return err
	}
	if err := x.checkNamesIt(ctx, e); err != nil {
		return err
	}
	return nothingStarts(ctx, e, x.laptop)
}

// checkNamesIt holds that the next step which the laptop told is good advice: the check finds the damage and
// the version that it hits.
func (x *running) checkNamesIt(ctx context.Context, e *Env) error {
	out, err := x.d.CLI(ctx, "image", "check", "--read-data")
	exit := &ExitError{}
	if !asExit(err, &exit) {
		return checks(err, that(err != nil, "image check found nothing wrong"))
	}
	words := out + exit.Words
	lines := strings.Split(strings.TrimSpace(words), "\n")
	e.Say("image check says, in %d lines: %s", len(lines), lines[0])
	return checks(same("image check's exit code", exit.Code, 3), that(strings.Contains(words, "small@1"), "image check does not name the version"))
}

// failsPlainly waits for the laptop to fail, switches it off, and holds that the job failed with one of the
// codes and that no Deployment was recorded. It returns the fact beside the code.
func (x *running) failsPlainly(ctx context.Context, e *Env, codes ...job.Code) (fact string, err error) {
	m, err := x.run.Console.WaitAfter(ctx, 0, regexp.MustCompile(failedLine.String()+`|ingot: done`))
	if err != nil {
		return "", err
	}
	e.Say("the laptop says: %s", strings.TrimSpace(m[0]))
	j, err := x.d.waitJob(ctx, x.id)
	if err != nil {
		return "", err
	}
	dev, err := x.d.device(ctx, x.laptop.Serial)
	if err != nil {
		return "", err
	}
	if err := checks(same("the job", j.State, job.Failed), that(j.Fault != nil && slices.Contains(codes, j.Fault.Code), "the fault is %v; want one of %v", j.Fault, codes),
		that(dev.Holds == nil, "a Deployment was recorded"), same("the device", string(dev.State), "failed"), x.run.Kill()); err != nil {
		return "", err
	}
	return j.Fault.Fact, nil
}

func largestPack(d *Daemon) (path string, err error) {
	dir := filepath.Join(d.Data, "packs")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var most int64
	for _, x := range entries {
		info, err := x.Info()
		if err != nil {
			return "", err
		}
		if info.Mode().IsRegular() && info.Size() > most {
			most, path = info.Size(), filepath.Join(dir, x.Name())
		}
	}
	return path, that(most > mib, "the packs hold %d bytes", most)
}

// flipBit flips one bit in the middle of a pack.
func flipBit(pack string) error {
	f, err := os.OpenFile(pack, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var b [1]byte
	at := info.Size() / 2
	if _, err := f.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], at)
	return err
}

func cutShort(pack string) error {
	info, err := os.Stat(pack)
	if err != nil {
		return err
	}
	return os.Truncate(pack, info.Size()/2)
}

// theLie is what a drive did not write although it said so.
type theLie struct{ offset, length uint64 }

// lyingDisk has a drive lie about the first write of new data behind 64 MiB.
func lyingDisk(ctx context.Context, e *Env) error {
	x, err := smallBench(ctx, e, 96)
	if err != nil {
		return err
	}
	if _, err := fitUsed(ctx, e, x.laptop); err != nil {
		return err
	}
	told := make(chan theLie, 1)
	lied := false
	nbd, err := e.underDrive(x.laptop, func(r lab.NBDRequest) lab.NBDAnswer {
		if lied || r.Op != lab.NBDWrite || r.Offset < 64*mib || !holdsData(r.Data) {
			return lab.Obey
		}
		lied = true
		told <- theLie{r.Offset, r.Length}
		return lab.Lie
	})
	if err != nil {
		return err
	}
	defer nbd.Close()
	if err := x.meetAndOrder(ctx, e); err != nil {
		return err
	}
	fact, err := x.failsPlainly(ctx, e, job.CodeReadBack)
	if err != nil {
		return err
	}
	lie := <-told
	e.Say("the drive lied about %d bytes at %d", lie.length, lie.offset)
	if err := checks(x.namesLie(ctx, e, fact, lie), that(strings.Contains(fact, x.laptop.Drives[0].Serial), "the fact %q does not name the drive", fact)); err != nil {
		return err
	}
	return nothingStarts(ctx, e, x.laptop)
}

var atByte = regexp.MustCompile(`At byte (\d+) `)

// namesLie holds that the named byte begins an extent of the image that the lie hit.
func (x *running) namesLie(ctx context.Context, e *Env, fact string, lie theLie) error {
	at, err := byteOf(fact)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, e, x.d)
	if err != nil {
		return err
	}
	defer s.Close()
	m, err := s.OpenManifest(x.version.Manifest)
	if err != nil {
		return err
	}
	defer m.Close()
	for n, err := range m.All() {
		if err != nil {
			return err
		}
		if n.Kind == imaging.Data && n.Offset == at {
			return that(n.Offset < lie.offset+lie.length && n.End() > lie.offset, "byte %d was named; its extent of %d bytes was written well", at, n.Length)
		}
	}
	return fmt.Errorf("byte %d was named, where no data extent begins", at)
}

func byteOf(fact string) (at uint64, err error) {
	m := atByte.FindStringSubmatch(fact)
	if m == nil {
		return 0, fmt.Errorf("the fact %q names no byte", fact)
	}
	_, err = fmt.Sscan(m[1], &at)
	return at, err
}

// diskError deploys three times onto a drive with one fault each.
func diskError(ctx context.Context, e *Env) error {
	x, err := smallBench(ctx, e, 32)
	if err != nil {
		return err
	}
	if _, err := fitUsed(ctx, e, x.laptop); err != nil {
		return err
	}
	var bad func(r lab.NBDRequest) bool
	nbd, err := e.underDrive(x.laptop, func(r lab.NBDRequest) lab.NBDAnswer {
		if bad != nil && bad(r) {
			return lab.Fail
		}
		return lab.Obey
	})
	if err != nil {
		return err
	}
	defer nbd.Close()
	if err := x.meet(ctx, e); err != nil {
		return err
	}
	if err := x.run.Kill(); err != nil {
		return err
	}
	for _, f := range driveFaults() {
		if err := makeDisk(ctx, x.laptop.Drives[0].Path(), smallDrive, 24, 2); err != nil {
			return err // the deploy before left some of the image there
		}
		bad = f.bad // the laptop is off, and with it the one goroutine that asks
		if err := x.orderSmall(ctx, e); err != nil {
			return err
		}
		if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
			return err
		}
		fact, err := x.failsPlainly(ctx, e, f.code)
		if err != nil {
			return fmt.Errorf("a drive that refuses a %s: %w", f.what, err)
		}
		if err := checks(that(strings.Contains(fact, x.laptop.Drives[0].Serial), "the fact %q does not name the drive", fact),
			doesNotBoot(x.laptop.Drives[0].Path())); err != nil {
			return fmt.Errorf("a drive that refuses a %s: %w", f.what, err)
		}
	}
	return nothingStarts(ctx, e, x.laptop)
}

// driveFault is one way in which a drive breaks, and stays broken.
type driveFault struct {
	what string
	code job.Code
	bad  func(lab.NBDRequest) bool
}

// driveFaults breaks a drive at the sector where it is first given data of the image.
func driveFaults() []driveFault {
	var sector uint64
	hits := func(r lab.NBDRequest) bool {
		if sector == 0 && r.Op == lab.NBDWrite && r.Offset >= 2*mib && holdsData(r.Data) {
			sector = r.Offset
		}
		return sector != 0 && r.Offset <= sector && r.Offset+r.Length > sector
	}
	written, begun := false, false
	return []driveFault{
		{"write", job.CodeDriveWrite, func(r lab.NBDRequest) bool { return hits(r) && r.Op == lab.NBDWrite }},
		{"read of what it wrote", job.CodeDriveRead, func(r lab.NBDRequest) bool {
			written = written || hits(r) && r.Op == lab.NBDWrite
			return written && hits(r) && r.Op == lab.NBDRead
		}},
		{"flush", job.CodeFlush, func(r lab.NBDRequest) bool {
			begun = begun || hits(r) && r.Op == lab.NBDWrite
			return begun && r.Op == lab.NBDFlush
		}},
	}
}
