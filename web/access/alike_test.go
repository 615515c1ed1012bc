package access_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/access"
)

// commits reads from the file itself how often something was written: the number of bbolt's last transaction, which
// stands in one of the first two pages.
func (d *desk) commits() (n uint64) {
	d.t.Helper()
	f, err := os.Open(d.path)
	must(d.t, err)
	defer f.Close()
	page := int64(os.Getpagesize())
	for _, at := range []int64{0, page} {
		head := make([]byte, 72)
		if _, err := f.ReadAt(head, at); err != nil {
			d.t.Fatal(err)
		}
		n = max(n, binary.LittleEndian.Uint64(head[64:]))
	}
	return n
}

// TestANameThatIsNotKnownCostsTheSame: each attempt writes as often, whether there is such an operator or not, also the one
// that locks it, and those after that. So nobody learns names by the time of an answer, or while the disk is full.
func TestANameThatIsNotKnownCostsTheSame(t *testing.T) {
	d := newDesk(t, nil)
	d.operator("anna", store.Technician)
	writes := map[string]string{}
	for i, name := range []string{"anna", "nobody-here"} {
		for range store.MaxWrong + 2 {
			before := d.commits()
			_, err := d.SignIn(t.Context(), from(byte(10+i)), name, "a wrong password")
			writes[name] += fmt.Sprintf("%d %s, ", d.commits()-before, job.FaultOf(err).Code)
			d.clk.pass(4 * time.Second)
		}
	}
	if writes["anna"] != writes["nobody-here"] || writes["anna"][0] != '1' {
		t.Errorf("writes and answers:\n%s of a name that is known\n%s of one that is not", writes["anna"], writes["nobody-here"])
	}
	// Nor does a record that takes no writes tell one from the other.
	must(t, d.db.Close())
	d.clk.pass(24 * time.Hour)
	for i, name := range []string{"anna", "nobody-here"} {
		if _, err := d.SignIn(t.Context(), from(byte(20+i)), name, "a wrong password"); job.FaultOf(err).Code == job.CodeSignIn {
			t.Errorf("%s, without a record: %v", name, err)
		}
	}
}

// TestASessionWithoutRoomEndsItsRequests: who signs in once too often loses the oldest session, and what that one had open.
func TestASessionWithoutRoomEndsItsRequests(t *testing.T) {
	d := newDesk(t, nil)
	oldest := d.operator("anna", store.Technician)
	g, err := d.Session(oldest)
	must(t, err)
	ctx, done := d.Hold(t.Context(), g)
	defer done()
	newest := ""
	for i := range 40 {
		d.clk.pass(time.Minute)
		newest, err = d.SignIn(t.Context(), access.Client{From: netip.AddrFrom4([4]byte{10, 1, byte(i), 1})}, "anna", good)
		must(t, err)
		if i == 0 && ctx.Err() != nil {
			t.Fatal("the request ended with the next session")
		}
	}
	if _, err := d.Session(oldest); err == nil {
		t.Fatal("41 sessions of one operator, and none ended")
	}
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Error("a session that was dropped keeps its request open")
	}
	g, err = d.Session(newest)
	must(t, err)
	if held, done := d.Hold(t.Context(), g); held.Err() != nil {
		t.Error("the newest session's request has ended")
	} else {
		done()
	}
}
