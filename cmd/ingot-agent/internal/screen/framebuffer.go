package screen

import (
	"errors"
	"fmt"
	"image"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The two questions to a framebuffer (linux/fb.h).
const (
	fbioGetVScreenInfo = 0x4600
	fbioGetFScreenInfo = 0x4602
)

// bitfield says where one colour stands in a pixel (struct fb_bitfield).
type bitfield struct{ Offset, Length, MSBRight uint32 }

// varInfo is struct fb_var_screeninfo.
type varInfo struct {
	XRes, YRes, XResVirtual, YResVirtual, XOffset, YOffset uint32
	BitsPerPixel, Grayscale                                uint32
	Red, Green, Blue, Transp                               bitfield
	_                                                      [20]uint32
}

// fixInfo is struct fb_fix_screeninfo on 64-bit Linux.
type fixInfo struct {
	ID         [16]byte
	SMemStart  uint64
	SMemLen    uint32
	Type       uint32
	TypeAux    uint32
	Visual     uint32
	XPanStep   uint16
	YPanStep   uint16
	YWrapStep  uint16
	_          uint16
	LineLength uint32
	_          uint32
	MMIOStart  uint64
	MMIOLen    uint32
	Accel      uint32
	Capability uint16
	_          [2]uint16
	_          uint16
}

// Layout is how pixels lie in a framebuffer's memory.
type Layout struct {
	Width, Height    int
	Stride           int // bytes from one row to the next
	Bytes            int // per pixel: 2, 3 or 4
	Red, Green, Blue Field
}

// Field is one colour's place in a little-endian pixel.
type Field struct{ Shift, Bits int }

// Framebuffer is an open /dev/fb0, mapped into memory. It is used by one goroutine.
type Framebuffer struct {
	Layout
	file *os.File
	mem  []byte
}

// OpenFramebuffer maps a framebuffer device. A device whose pixels Ingot cannot write (palettes, planes) is an
// error; the text console is used then.
func OpenFramebuffer(path string) (*Framebuffer, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open framebuffer: %w", err)
	}
	fb, err := mapFramebuffer(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open framebuffer %s: %w", path, err), f.Close())
	}
	return fb, nil
}

func mapFramebuffer(f *os.File) (*Framebuffer, error) {
	var v varInfo
	var x fixInfo
	if err := ask(f, fbioGetVScreenInfo, unsafe.Pointer(&v)); err != nil {
		return nil, err
	}
	if err := ask(f, fbioGetFScreenInfo, unsafe.Pointer(&x)); err != nil {
		return nil, err
	}
	l := Layout{Width: int(v.XRes), Height: int(v.YRes), Stride: int(x.LineLength), Bytes: int(v.BitsPerPixel+7) / 8,
		Red: field(v.Red), Green: field(v.Green), Blue: field(v.Blue)}
	if err := l.check(int(x.SMemLen)); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, l.Stride*l.Height, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map its memory: %w", err)
	}
	return &Framebuffer{Layout: l, file: f, mem: mem}, nil
}

func ask(f *os.File, request uintptr, into unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(into)); errno != 0 {
		return fmt.Errorf("ask for its layout: %w", errno)
	}
	return nil
}

func field(b bitfield) Field { return Field{Shift: int(b.Offset), Bits: int(b.Length)} }

// check refuses what Draw cannot write: the driver's figures decide where Draw puts bytes.
func (l Layout) check(memory int) error {
	if l.Width < MinSide || l.Height < MinSide || l.Width > MaxSide || l.Height > MaxSide {
		return fmt.Errorf("a screen of %d by %d pixels", l.Width, l.Height)
	}
	if l.Bytes < 2 || l.Bytes > 4 || l.Stride < l.Width*l.Bytes || l.Stride*l.Height > memory {
		return fmt.Errorf("rows of %d bytes with %d bytes a pixel in %d bytes of memory", l.Stride, l.Bytes, memory)
	}
	for _, f := range []Field{l.Red, l.Green, l.Blue} {
		if f.Bits < 4 || f.Bits > 8 || f.Shift < 0 || f.Shift+f.Bits > 8*l.Bytes {
			return fmt.Errorf("a colour of %d bits at bit %d", f.Bits, f.Shift)
		}
	}
	return nil
}

// Draw shows a picture of the framebuffer's own size.
func (fb *Framebuffer) Draw(img *image.RGBA) { fb.Put(fb.mem, img) }

// Put writes a picture into memory of this layout; what does not fit is left out.
func (l Layout) Put(mem []byte, img *image.RGBA) {
	w, h := min(l.Width, img.Bounds().Dx()), min(l.Height, img.Bounds().Dy())
	row := make([]byte, w*l.Bytes) // rows are written whole: the memory behind is slow to touch
	for y := range h {
		src := img.Pix[y*img.Stride:]
		for x := range w {
			p := l.Red.of(src[4*x]) | l.Green.of(src[4*x+1]) | l.Blue.of(src[4*x+2])
			for b := range l.Bytes {
				row[x*l.Bytes+b] = byte(p >> (8 * b))
			}
		}
		copy(mem[y*l.Stride:], row)
	}
}

func (f Field) of(v byte) uint32 { return uint32(v>>(8-f.Bits)) << f.Shift }

// Close unmaps the framebuffer; the picture stays.
func (fb *Framebuffer) Close() error { return errors.Join(unix.Munmap(fb.mem), fb.file.Close()) }
