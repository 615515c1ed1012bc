package efivar_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ingot/firmware/efivar"
	"pgregory.net/rapid"
)

var (
	espNow    = efivar.Partition{Number: 1, Start: 2048, Size: 1048576, GUID: efivar.GUID{1}}
	espFormer = efivar.Partition{Number: 1, Start: 2048, Size: 204800, GUID: efivar.GUID{2}}
	espOther  = efivar.Partition{Number: 1, Start: 2048, Size: 204800, GUID: efivar.GUID{3}}
	wish      = efivar.Wish{Label: "Ingot", Loader: `\EFI\BOOT\BOOTX64.EFI`, ESP: espNow, Former: []efivar.GUID{espFormer.GUID}, Others: []efivar.GUID{espOther.GUID}}
)

// menu makes a boot menu out of short words, one entry each, numbered by their place and all in the order.
func menu(words ...string) efivar.BootState {
	s := efivar.BootState{Entries: map[uint16]efivar.LoadOption{}, Next: -1, Current: -1}
	for i, w := range words {
		o := efivar.LoadOption{Attributes: efivar.Active, Description: w}
		switch w {
		case "pxe":
			o.Path = efivar.DevicePath{{Type: 2, SubType: 1, Data: make([]byte, 8)}, {Type: 3, SubType: 11, Data: make([]byte, 33)}}
		case "setup":
			o.Attributes = 0x109
			o.Path = efivar.DevicePath{{Type: 4, SubType: 6, Data: make([]byte, 16)}}
		case "disk": // the firmware's own entry for a whole drive
			o.Path = efivar.DevicePath{{Type: 2, SubType: 1, Data: make([]byte, 8)}}
		case "former":
			o.Path = efivar.PartitionPath(espFormer, `\EFI\Microsoft\Boot\bootmgfw.efi`)
		case "debian":
			o.Path = efivar.PartitionPath(espNow, `\EFI\debian\shimx64.efi`)
		case "other":
			o.Path = efivar.PartitionPath(espOther, `\EFI\debian\shimx64.efi`)
		case "Ingot":
			o.Path = efivar.PartitionPath(espNow, `\EFI\BOOT\BOOTX64.EFI`)
		case "stranger":
			o.Description = "Ingot"
			o.Path = efivar.PartitionPath(espOther, `\EFI\BOOT\BOOTX64.EFI`)
		case "lost":
			o.Description = "Ingot"
			o.Path = efivar.PartitionPath(efivar.Partition{Number: 1, Size: 1, GUID: efivar.GUID{9}}, `\EFI\BOOT\BOOTX64.EFI`)
		}
		s.Entries[uint16(i)] = o
		s.Order = append(s.Order, uint16(i))
	}
	return s
}

// after carries a plan out on a state, refusing an order that names an entry that is not there.
func after(t testing.TB, s efivar.BootState, p efivar.Plan) efivar.BootState {
	t.Helper()
	for _, step := range p.Steps {
		switch {
		case step.Name == "BootOrder":
			s.Order = nil
			for i := 0; i < len(step.Value); i += 2 {
				s.Order = append(s.Order, binary.LittleEndian.Uint16(step.Value[i:]))
			}
		case step.Name == "BootNext":
			s.Next = int(binary.LittleEndian.Uint16(step.Value))
		default:
			var n uint16
			if _, err := fmt.Sscanf(step.Name, "Boot%04X", &n); err != nil {
				t.Fatal(err)
			}
			if step.Value == nil {
				delete(s.Entries, n)
				break
			}
			o, err := efivar.ParseLoadOption(step.Value)
			if err != nil {
				t.Fatal(err)
			}
			s.Entries[n] = o
		}
		for _, n := range s.Order {
			if _, ok := s.Entries[n]; !ok {
				t.Fatalf("after %s the order names entry %d, which is not there", step.Name, n)
			}
		}
	}
	return s
}

// words turns a state back: the descriptions in boot order.
func words(s efivar.BootState) string {
	var w []string
	for _, n := range s.Order {
		w = append(w, s.Entries[n].Description)
	}
	return strings.Join(w, " ")
}

// TestARenamedDriveKeepsOneEntry: the entry of the former name becomes the new name's, in its place; another drive's
// entry of ours stays, and one that only begins like ours is nobody's.
func TestARenamedDriveKeepsOneEntry(t *testing.T) {
	s := menu("pxe", "stranger", "disk")
	w := wish
	w.Label, w.Ours = "Ingot LT-7", "Ingot"
	p, err := efivar.PlanBoot(s, w)
	if err != nil {
		t.Fatal(err)
	}
	s = after(t, s, p)
	w.Label = "Ingot LT-8"
	q, err := efivar.PlanBoot(s, w)
	if err != nil {
		t.Fatal(err)
	}
	if got := words(after(t, s, q)); got != "pxe Ingot LT-8 Ingot disk" || q.Entry != p.Entry {
		t.Errorf("after the rename the order is %q, entry %d; want one entry, %d, in its place", got, q.Entry, p.Entry)
	}
	gone := menu("pxe", "lost", "disk") // an entry of ours that leads nowhere, under a former name
	for n, o := range gone.Entries {
		if o.Description == "Ingot" {
			o.Description = "Ingot LT-1"
			gone.Entries[n] = o
		}
	}
	if p, err = efivar.PlanBoot(gone, w); err != nil {
		t.Fatal(err)
	}
	if got := words(after(t, gone, p)); got != "pxe Ingot LT-8 disk" {
		t.Errorf("the entry of a former name that leads nowhere: %q", got)
	}
}

func TestPlanBoot(t *testing.T) {
	for _, c := range []struct {
		name string
		menu []string
		want string
		left int // entries in all
	}{
		{"an empty machine", nil, "Ingot", 1},
		{"network first stays first", []string{"pxe", "pxe", "disk"}, "pxe pxe Ingot disk", 4},
		{"the firmware's setup does not end the network's lead", []string{"setup", "pxe", "disk"}, "setup pxe Ingot disk", 4},
		{"a drive first machine finds this drive first", []string{"disk", "pxe"}, "Ingot disk pxe", 3},
		{"setup without network leads nothing", []string{"setup", "disk"}, "Ingot setup disk", 3},
		{"the former system's entry is replaced in its place", []string{"pxe", "former", "disk"}, "pxe Ingot disk", 3},
		{"an entry of the image's own is replaced", []string{"pxe", "disk", "debian"}, "pxe disk Ingot", 3},
		{"several of this drive become one", []string{"former", "pxe", "debian", "Ingot"}, "Ingot pxe", 2},
		{"a second deploy changes nothing in the order", []string{"pxe", "Ingot", "disk"}, "pxe Ingot disk", 3},
		{"another drive's entry stays, whatever its name", []string{"pxe", "stranger", "other"}, "pxe Ingot Ingot other", 4},
		{"an entry of ours that leads nowhere goes", []string{"pxe", "lost"}, "pxe Ingot", 2},
	} {
		s := menu(c.menu...)
		p, err := efivar.PlanBoot(s, wish)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := after(t, s, p)
		if words(got) != c.want || len(got.Entries) != c.left || got.Next != int(p.Entry) {
			t.Errorf("%s: order %q, %d entries, next %d; want %q, %d, %d", c.name, words(got), len(got.Entries), got.Next, c.want, c.left, p.Entry)
		}
		again, err := efivar.PlanBoot(got, wish)
		if err != nil || len(again.Steps) != 0 || again.Entry != p.Entry {
			t.Errorf("%s: planned again = %+v, %v; want nothing to do", c.name, again, err)
		}
	}
}

func TestPlanBootRefusesWhatIsNotKnown(t *testing.T) {
	for name, w := range map[string]efivar.Wish{
		"no label":     {Loader: wish.Loader, ESP: espNow},
		"no loader":    {Label: "Ingot", ESP: espNow},
		"no partition": {Label: "Ingot", Loader: wish.Loader},
		"no GUID":      {Label: "Ingot", Loader: wish.Loader, ESP: efivar.Partition{Number: 1, Size: 1}},
		"a long label": {Label: strings.Repeat("x", 300), Loader: wish.Loader, ESP: espNow},
	} {
		if p, err := efivar.PlanBoot(menu(), w); err == nil {
			t.Errorf("%s: PlanBoot = %+v; want an error", name, p)
		}
	}
}

func TestTwoDrivesWithCopiesOfOneImageKeepOneEntry(t *testing.T) {
	w := wish
	w.Others = []efivar.GUID{espNow.GUID}
	s := menu("pxe", "Ingot", "debian")
	p, err := efivar.PlanBoot(s, w)
	if err != nil {
		t.Fatal(err)
	}
	if got := after(t, s, p); words(got) != "pxe Ingot debian" || p.Entry != 1 {
		t.Errorf("order %q, entry %d; want the entry that is there and nothing deleted", words(got), p.Entry)
	}
}

func TestANumberThatIsTakenIsNotUsed(t *testing.T) {
	s := menu("pxe")
	s.Unreadable = map[uint16]bool{1: true}
	s.Order = []uint16{2, 0} // 2 is named and not there
	p, err := efivar.PlanBoot(s, wish)
	if err != nil || p.Entry != 3 {
		t.Errorf("PlanBoot = %+v, %v; want entry 3", p, err)
	}
}

// TestAnyMenuKeepsItsOthers holds for every menu: one entry of the drive is left, named once, and all else stays
// in its order.
func TestAnyMenuKeepsItsOthers(t *testing.T) {
	kinds := []string{"pxe", "setup", "disk", "former", "debian", "other", "Ingot", "stranger", "lost"}
	rapid.Check(t, func(rt *rapid.T) {
		drawn := rapid.SliceOfN(rapid.SampledFrom(kinds), 0, 12).Draw(rt, "menu")
		s := menu(drawn...)
		var others []uint16
		for i, w := range drawn {
			if !slices.Contains([]string{"former", "debian", "Ingot", "lost"}, w) {
				others = append(others, uint16(i))
			}
		}
		p, err := efivar.PlanBoot(s, wish)
		if err != nil {
			rt.Fatal(err)
		}
		got := after(t, s, p)
		rest := slices.DeleteFunc(slices.Clone(got.Order), func(n uint16) bool { return n == p.Entry })
		if !slices.Equal(rest, others) || len(got.Order) != len(others)+1 || len(got.Entries) != len(others)+1 {
			rt.Fatalf("menu %v: order %v, entries %d; want the others %v and %d", drawn, got.Order, len(got.Entries), others, p.Entry)
		}
	})
}

func TestApplyWritesAndReadsBack(t *testing.T) {
	v, _ := open(t)
	before := menu("pxe", "former", "debian")
	for n, o := range before.Entries {
		b, err := o.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Set(efivar.Name{Name: efivar.BootName(n), Vendor: efivar.Global}, 7, b); err != nil {
			t.Fatal(err)
		}
	}
	s, err := v.Boot()
	if err != nil {
		t.Fatal(err)
	}
	p, err := efivar.PlanBoot(s, wish)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Apply(p); err != nil {
		t.Fatal(err)
	}
	got, err := v.Boot()
	if err != nil || words(got) != "Ingot" || len(got.Entries) != 2 || got.Next != int(p.Entry) {
		t.Errorf("after Apply: %+v, %v", got, err)
	}
}
