package smbios

// take adds one structure to what is known. The offsets are those of DSP0134 3.7, section 7.
func (i *Info) take(s structure) {
	switch s.kind {
	case 0:
		i.BIOS = BIOS{Vendor: s.str(4), Version: s.str(5), Date: s.str(8)}
	case 1:
		i.takeSystem(s)
	case 2:
		if i.Board == (Board{}) {
			i.Board = Board{Manufacturer: s.str(4), Product: s.str(5), Version: s.str(6), Serial: s.str(7), AssetTag: s.str(8)}
		}
	case 3:
		if i.Chassis == (Chassis{}) {
			i.Chassis = Chassis{Type: int(s.u8(5) & 0x7f), Manufacturer: s.str(4), Version: s.str(6), Serial: s.str(7), AssetTag: s.str(8)}
		}
	case 4:
		i.takeProcessor(s)
	case 11:
		for _, o := range s.strings[:min(len(s.strings), int(s.u8(4)))] {
			if len(i.OEM) < maxList {
				i.OEM = append(i.OEM, o)
			}
		}
	case 17:
		i.takeMemory(s)
	}
}

// takeSystem reads type 1. A machine has one; a second one does not replace it.
func (i *Info) takeSystem(s structure) {
	if i.System != (System{}) {
		return
	}
	i.System = System{Manufacturer: s.str(4), Product: s.str(5), Version: s.str(6), Serial: s.str(7), SKU: s.str(25), Family: s.str(26)}
	if len(s.data) >= 24 {
		var raw [16]byte
		copy(raw[:], s.data[8:24])
		i.System.UUID = UUID(raw)
		if i.Major > 2 || i.Major == 2 && i.Minor >= 6 {
			i.System.UUID = i.System.UUID.Swapped()
		}
	}
}

// takeProcessor reads type 4; bit 6 of the status says that the socket is filled.
func (i *Info) takeProcessor(s structure) {
	if s.u8(24)&0x40 == 0 || len(i.Processors) >= maxList {
		return
	}
	wide := func(narrow, wider int) int {
		if n := s.u8(narrow); n != 0xff {
			return int(n)
		}
		return int(s.u16(wider))
	}
	i.Processors = append(i.Processors, Processor{Manufacturer: s.str(7), Version: s.str(16), Cores: wide(35, 42), Threads: wide(37, 46)})
}

// takeMemory reads type 17. The size is in MiB, or in KiB with the top bit; 0x7fff points to the wide field,
// 0xffff means unknown.
func (i *Info) takeMemory(s structure) {
	if len(i.Memory) >= maxList {
		return
	}
	var bytes uint64
	switch size := s.u16(12); {
	case size == 0xffff:
	case size == 0x7fff:
		bytes = uint64(s.u32(28)&0x7fffffff) << 20
	case size&0x8000 != 0:
		bytes = uint64(size&0x7fff) << 10
	default:
		bytes = uint64(size) << 20
	}
	speed := s.u16(32)
	if speed == 0xffff {
		speed = 0
	}
	i.Memory = append(i.Memory, MemoryDevice{Bytes: bytes, Locator: s.str(16), Manufacturer: s.str(23), Serial: s.str(24), Part: s.str(26), MTs: int(speed)})
}
