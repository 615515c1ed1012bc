package doctor

import (
	"strconv"
	"strings"
)

// ParseIptables reads the filter table of what "iptables-save" prints.
func ParseIptables(text string) Ruleset {
	set := Ruleset{Name: "iptables", Chains: map[string]*Chain{}}
	table := ""
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case strings.HasPrefix(f[0], "*"):
			table = f[0][1:]
		case table != "filter":
		case strings.HasPrefix(f[0], ":") && len(f) > 1:
			name := f[0][1:]
			set.Chains[name] = &Chain{Name: name, Base: name == "INPUT", Drops: f[1] == "DROP"}
		case f[0] == "-A" && len(f) > 1 && set.Chains[f[1]] != nil:
			set.Chains[f[1]].Rules = append(set.Chains[f[1]].Rules, iptablesRule(f[2:]))
		}
	}
	return set
}

// iptablesRule reads the words behind "-A CHAIN".
func iptablesRule(f []string) (r Rule) {
	not := false
	for i := 0; i < len(f); i++ {
		arg := ""
		if i+1 < len(f) {
			arg = f[i+1]
		}
		used := true // the argument belongs to this word
		switch f[i] {
		case "!":
			not = true
			continue
		case "-i":
			r.Interfaces, r.NotInterface = []string{arg}, not
		case "-p":
			r.Protos = []string{arg}
			r.Guess = r.Guess || not
		case "--dport", "--dports", "--destination-port":
			r.Ports, r.NotPort = portRanges(arg), not
			r.Guess = r.Guess || r.Ports == nil
		case "--ctstate", "--state":
			r.Never = r.Never || has(strings.Split(arg, ","), "NEW") == not
		case "-m", "--comment", "--log-prefix", "--log-level", "--reject-with":
			r.Guess = r.Guess || f[i] == "-m" && !known(arg)
			if strings.HasPrefix(arg, `"`) {
				for !strings.HasSuffix(f[i+1], `"`) && i+2 < len(f) {
					i++
				}
			}
		case "-j", "-g":
			r.Act, r.Target = iptablesAct(f[i], arg)
		default:
			r.Guess, used = true, !strings.HasPrefix(arg, "-") && arg != "!"
		}
		not = false
		if used {
			i++
		}
	}
	return r
}

// known are the matches whose options are read above, or that only carry them.
func known(match string) bool {
	return has([]string{"tcp", "udp", "multiport", "conntrack", "state", "comment"}, match)
}

func iptablesAct(how, target string) (Act, string) {
	switch {
	case target == "ACCEPT":
		return Accept, ""
	case target == "DROP" || target == "REJECT":
		return Drop, ""
	case target == "RETURN":
		return Return, ""
	case has([]string{"LOG", "NFLOG", "MARK", "CONNMARK", "TRACE"}, target):
		return Nothing, ""
	case how == "-g":
		return Goto, target
	}
	return Jump, target
}

// portRanges reads 67, 67:68 and 67,69,4011:4012.
func portRanges(s string) (out []Range) {
	for _, part := range strings.Split(s, ",") {
		from, to, two := strings.Cut(part, ":")
		a, err1 := strconv.Atoi(from)
		b, err2 := a, error(nil)
		if two {
			b, err2 = strconv.Atoi(to)
		}
		if err1 != nil || err2 != nil {
			return nil
		}
		out = append(out, Range{a, b})
	}
	return out
}
