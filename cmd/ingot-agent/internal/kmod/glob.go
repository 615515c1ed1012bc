package kmod

// glob reports whether a pattern of modules.alias matches: * any run, ? one byte, [a-f] one byte of a set; every
// other byte itself. It is written for bytes from a file: it never fails and its time is bounded by the product
// of both lengths.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, back := -1, 0 // the last * and where in s it was tried
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, back = p, i
			p++
			continue
		}
		if n, ok := matchOne(pattern[p:], s[i]); ok {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		back++
		p, i = star+1, back
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne compares the first element of a pattern with one byte and returns the element's length.
func matchOne(pattern string, c byte) (int, bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		if n, ok, whole := matchSet(pattern, c); whole {
			return n, ok
		}
	}
	return 1, pattern[0] == c
}

// matchSet compares [abc], [a-f] or [!a-f] with one byte; whole is false when the set is not closed. Since names
// are kept with underscores, the underscore between two bytes is a range's dash here.
func matchSet(pattern string, c byte) (n int, ok, whole bool) {
	i := 1
	not := i < len(pattern) && pattern[i] == '!'
	if not {
		i++
	}
	for first := true; i < len(pattern); first = false {
		if pattern[i] == ']' && !first {
			return i + 1, ok != not, true
		}
		lo, hi := pattern[i], pattern[i]
		if i+2 < len(pattern) && pattern[i+1] == '_' && pattern[i+2] != ']' {
			hi = pattern[i+2]
			i += 2
		}
		ok = ok || lo <= c && c <= hi
		i++
	}
	return 0, false, false
}
