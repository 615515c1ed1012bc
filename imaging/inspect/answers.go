package inspect

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
)

// answerPlaces are where Windows setup looks for an answer file, and where it keeps the one that it used.
var answerPlaces = []string{
	"/Windows/Panther/unattend.xml", "/Windows/Panther/Unattend/unattend.xml", "/Windows/Panther/unattend-original.xml", "/Windows/Panther/autounattend.xml",
	"/Windows/System32/Sysprep/unattend.xml", "/Windows/System32/Sysprep/Panther/unattend.xml", "/unattend.xml", "/autounattend.xml",
}

// answerFiles looks for cached answer files: they beat what a deploy brings, and often hold a password.
func (l *look) answerFiles() {
	const check = "windows-answer-files"
	found := 0
	for _, p := range answerPlaces {
		if !l.tree.isFile(p) {
			continue
		}
		found++
		secrets, err := Secrets(l.tree.read(p))
		switch {
		case len(secrets) > 0:
			l.find(check, Red, "The answer file "+p+" holds a password ("+join(secrets, len(secrets))+").", "Remove the file on the reference machine, and change the password if it is used anywhere.")
		case err != nil:
			l.find(check, Yellow, "The answer file "+p+" cannot be read as XML; whether it holds a password is not known.", "Remove the file on the reference machine.")
		default:
			l.find(check, Yellow, "The answer file "+p+" is in the image: it is used before what a deploy brings.", "Remove the file on the reference machine, unless it is meant for every laptop.")
		}
	}
	if found == 0 {
		l.find(check, Green, "No answer file of Windows setup is kept.", "")
	}
}

// deleted is what setup writes in the place of a password that it has used.
const deleted = "*SENSITIVE*DATA*DELETED*"

// Secrets names the elements of an answer file that hold a password. It is bounded by the file's size and by depth.
func Secrets(b []byte) (found []string, err error) {
	const maxElements, most = 256, 20
	d := xml.NewDecoder(bytes.NewReader(decode(b)))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // decode has made it UTF-8
	var stack []string
	for {
		t, err := d.Token()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if stack = append(stack, t.Name.Local); len(stack) > maxElements {
				return found, errors.New("the answer file is nested too deeply")
			}
		case xml.EndElement:
			stack = stack[:max(len(stack)-1, 0)]
		case xml.CharData:
			if name, ok := secretIn(stack, string(t)); ok && len(found) < most && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
}

// secretIn reports whether a text inside these elements is a password.
func secretIn(stack []string, s string) (string, bool) {
	s = strings.TrimSpace(s)
	if s == "" || strings.EqualFold(s, deleted) || len(stack) == 0 || strings.EqualFold(stack[len(stack)-1], "PlainText") {
		return "", false
	}
	for _, e := range stack {
		if l := strings.ToLower(e); strings.HasSuffix(l, "password") || l == "accountdata" {
			return clean(e), true
		}
	}
	return "", false
}

// decode makes UTF-8 of a text file of Windows: UTF-16 with its mark, or bytes.
func decode(b []byte) []byte {
	if b, ok := bytes.CutPrefix(b, []byte("\xef\xbb\xbf")); ok {
		return b
	}
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		return b
	}
	u := make([]uint16, 0, len(b)/2)
	for b = b[2:]; len(b) >= 2; b = b[2:] {
		u = append(u, order.Uint16(b))
	}
	return []byte(string(utf16.Decode(u)))
}

// ParseINI reads the lines KEY=VALUE of an INI file, whatever their section; keys in lower case, the first one counts.
func ParseINI(b []byte) map[string]string {
	const most = 1000
	out := map[string]string{}
	for line := range bytes.Lines(decode(b)) {
		key, value, ok := strings.Cut(string(line), "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if _, known := out[key]; ok && !known && key != "" && len(out) < most {
			out[key] = clean(value)
		}
	}
	return out
}
