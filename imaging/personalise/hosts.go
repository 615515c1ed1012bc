package personalise

import "strings"

// Hosts is /etc/hosts with the old host name replaced by the new one, wherever it stood alone or before a domain,
// and with the line of 127.0.1.1 naming the new one, as Debian's own installer writes it. Every other line stays
// as it is.
func Hosts(text, old, name string) string {
	if text == "" {
		text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	}
	var out []string
	named := -1
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		body, comment, _ := strings.Cut(l, "#")
		f := strings.Fields(body)
		if len(f) < 2 {
			out = append(out, l)
			continue
		}
		changed := rename(f[1:], old, name)
		if f[0] == "127.0.1.1" {
			if named >= 0 {
				continue // one line says it
			}
			named, changed = len(out), true
			if !has(f[1:], name) {
				f = []string{f[0], name}
			}
		}
		if changed {
			l = f[0] + "\t" + strings.Join(f[1:], " ")
			if comment != "" {
				l += " #" + comment
			}
		}
		out = append(out, l)
	}
	if named < 0 {
		at := 0
		for i, l := range out {
			if strings.HasPrefix(l, "127.0.0.1") {
				at = i + 1
			}
		}
		out = append(out[:at], append([]string{"127.0.1.1\t" + name}, out[at:]...)...)
	}
	return strings.Join(out, "\n") + "\n"
}

// rename replaces the old name in a line's names and reports whether it stood there. localhost is everybody's.
func rename(names []string, old, name string) bool {
	if old == "" || strings.EqualFold(old, "localhost") {
		return false
	}
	changed := false
	for i, n := range names {
		host, domain, dotted := strings.Cut(n, ".")
		if !strings.EqualFold(n, old) && !(dotted && strings.EqualFold(host, old)) {
			continue
		}
		names[i], changed = name, true
		if dotted && !strings.EqualFold(n, old) {
			names[i] += "." + domain
		}
	}
	return changed
}

func has(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}
