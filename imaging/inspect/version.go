package inspect

import (
	"cmp"
	"path"
	"strings"
)

// Compare orders two versions as Debian does (deb-version(7)): an epoch before a colon counts first, digits count as
// numbers, a tilde comes before everything, even the end. Versions of rpm and Windows order well by it too.
func Compare(a, b string) int {
	ea, ra := epoch(a)
	eb, rb := epoch(b)
	if c := numbers(ea, eb); c != 0 {
		return c
	}
	for ra != "" || rb != "" {
		wa, wb := prefix(ra, false), prefix(rb, false)
		if c := words(wa, wb); c != 0 {
			return c
		}
		ra, rb = ra[len(wa):], rb[len(wb):]
		na, nb := prefix(ra, true), prefix(rb, true)
		if c := numbers(na, nb); c != 0 {
			return c
		}
		ra, rb = ra[len(na):], rb[len(nb):]
	}
	return 0
}

func epoch(s string) (e, rest string) {
	if head, tail, ok := strings.Cut(s, ":"); ok && prefix(head, true) == head {
		return head, tail
	}
	return "", s
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// prefix is the longest beginning of only digits, or of none.
func prefix(s string, digits bool) string {
	n := 0
	for n < len(s) && digit(s[n]) == digits {
		n++
	}
	return s[:n]
}

// numbers compares digits of any length.
func numbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func words(a, b string) int {
	for i := 0; i < max(len(a), len(b)); i++ {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

// weight orders letters: tilde, the end, letters, the rest.
func weight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i] >= 'A' && s[i] <= 'Z', s[i] >= 'a' && s[i] <= 'z':
		return int(s[i])
	}
	return int(s[i]) + 256
}

// mustHave checks one piece of software that the site asks for.
func (l *look) mustHave(n Need) {
	const check, next = "must-have", "Install or update it on the reference machine, or change the site's list (image.must_have in ingot.toml)."
	best, found := "", false
	for _, p := range l.Packages {
		if ok, err := path.Match(strings.ToLower(n.Name), strings.ToLower(p.Name)); err != nil || !ok {
			continue
		}
		if !found || Compare(p.Version, best) > 0 {
			best = p.Version
		}
		found = true
	}
	name := clean(n.Name)
	switch {
	case !found:
		l.find(check, Red, name+" is missing, and this site wants it in its images.", next)
	case n.Version != "" && Compare(best, n.Version) < 0:
		l.find(check, Red, name+" is there in version "+best+"; this site wants "+clean(n.Version)+" or newer.", next)
	default:
		l.find(check, Green, name+" "+best+" is there, as this site wants.", "")
	}
}
