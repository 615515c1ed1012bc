package efivar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Bounds of one load option.
const (
	maxOption      = 16 << 10 // bytes
	maxDescription = 256      // UTF-16 units
	maxNodes       = 64
)

// Active is the attribute of a load option that the boot manager may start; Hidden keeps it out of the menu;
// the category of an application, such as the firmware's own setup, is no boot path.
const (
	Active       uint32 = 1
	Hidden       uint32 = 8
	categoryMask uint32 = 0x1f00
	categoryApp  uint32 = 0x0100
)

// LoadOption is the value of a Boot#### variable (UEFI 2.10, section 3.1.3).
type LoadOption struct {
	Attributes  uint32
	Description string
	Path        DevicePath
	More        []byte // further device paths, kept as they are
	Data        []byte // optional data, handed to the loader
}

// ParseLoadOption reads a Boot#### value.
func ParseLoadOption(b []byte) (LoadOption, error) {
	var o LoadOption
	if len(b) < 8 || len(b) > maxOption {
		return o, fmt.Errorf("parse load option: %d bytes", len(b))
	}
	o.Attributes = binary.LittleEndian.Uint32(b)
	pathLen := int(binary.LittleEndian.Uint16(b[4:]))
	text, n, err := cutUTF16(b[6:])
	if err != nil {
		return LoadOption{}, fmt.Errorf("parse load option: description: %w", err)
	}
	o.Description = text
	rest := b[6+n:]
	if pathLen > len(rest) {
		return LoadOption{}, fmt.Errorf("parse load option: device path of %d bytes, %d left", pathLen, len(rest))
	}
	path, more, err := cutDevicePath(rest[:pathLen])
	if err != nil {
		return LoadOption{}, fmt.Errorf("parse load option: %w", err)
	}
	o.Path = path
	if len(more) > 0 {
		o.More = append([]byte(nil), more...)
	}
	if data := rest[pathLen:]; len(data) > 0 {
		o.Data = append([]byte(nil), data...)
	}
	return o, nil
}

// Marshal writes the option as the firmware holds it.
func (o LoadOption) Marshal() ([]byte, error) {
	path, err := o.Path.Marshal()
	if err != nil {
		return nil, err
	}
	path = append(path, o.More...)
	text := utf16.Encode([]rune(o.Description))
	if len(text) >= maxDescription || strings.ContainsRune(o.Description, 0) {
		return nil, fmt.Errorf("load option: description %.40q is too long or holds a zero", o.Description)
	}
	if len(path) > maxOption {
		return nil, fmt.Errorf("load option: device path of %d bytes, at most %d", len(path), maxOption)
	}
	b := binary.LittleEndian.AppendUint32(nil, o.Attributes)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(path)))
	for _, c := range append(text, 0) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	b = append(append(b, path...), o.Data...)
	if len(b) > maxOption {
		return nil, fmt.Errorf("load option: %d bytes, at most %d", len(b), maxOption)
	}
	return b, nil
}

// cutUTF16 reads a zero-ended text and the number of bytes that it takes.
func cutUTF16(b []byte) (string, int, error) {
	var units []uint16
	for i := 0; i+1 < len(b); i += 2 {
		c := binary.LittleEndian.Uint16(b[i:])
		if c == 0 {
			return string(utf16.Decode(units)), i + 2, nil
		}
		if len(units) == maxDescription {
			return "", 0, fmt.Errorf("more than %d characters", maxDescription)
		}
		units = append(units, c)
	}
	return "", 0, errors.New("no end")
}

// Network reports whether the option starts from a network: a MAC, IPv4, IPv6 or URI node stands in its path.
func (o LoadOption) Network() bool {
	for _, n := range o.Path {
		if n.Type == typeMessaging {
			switch n.SubType {
			case subMAC, subIPv4, subIPv6, subURI:
				return true
			}
		}
	}
	return false
}

// app reports whether the option is the firmware's own program rather than something to boot.
func (o LoadOption) app() bool { return o.Attributes&categoryMask == categoryApp }
