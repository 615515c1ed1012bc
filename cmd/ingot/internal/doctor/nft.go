package doctor

import (
	"encoding/json"
	"fmt"
)

// ParseNft reads what "nft -j list ruleset" prints. Tables that iptables made are left out, since nft cannot tell all
// of their conditions: ParseIptables reads those.
func ParseNft(text []byte) (Ruleset, error) {
	var doc struct {
		Nftables []struct {
			Chain *nftChain `json:"chain"`
			Rule  *nftRule  `json:"rule"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return Ruleset{}, fmt.Errorf("read nft's rules: %w", err)
	}
	set := Ruleset{Name: "nft", Chains: map[string]*Chain{}}
	foreign := map[string]bool{} // tables of iptables
	for _, o := range doc.Nftables {
		if c := o.Chain; c != nil && seesIPv4(c.Family) {
			set.Chains[c.key(c.Name)] = &Chain{Name: c.Table + " " + c.Name, Base: c.Hook == "input" && c.Type == "filter", Drops: c.Policy == "drop"}
		}
	}
	for _, o := range doc.Nftables {
		r := o.Rule
		if r == nil || set.Chains[r.key(r.Chain)] == nil {
			continue
		}
		rule, xt := r.rule()
		foreign[r.Family+" "+r.Table] = foreign[r.Family+" "+r.Table] || xt
		set.Chains[r.key(r.Chain)].Rules = append(set.Chains[r.key(r.Chain)].Rules, rule)
	}
	for _, o := range doc.Nftables {
		if c := o.Chain; c != nil && foreign[c.Family+" "+c.Table] {
			delete(set.Chains, c.key(c.Name))
		}
	}
	return set, nil
}

func seesIPv4(family string) bool { return family == "ip" || family == "inet" }

type nftPlace struct {
	Family string `json:"family"`
	Table  string `json:"table"`
}

func (p nftPlace) key(chain string) string { return p.Family + " " + p.Table + " " + chain }

type nftChain struct {
	nftPlace
	Name   string `json:"name"`
	Type   string `json:"type"`
	Hook   string `json:"hook"`
	Policy string `json:"policy"`
}

type nftRule struct {
	nftPlace
	Chain string                       `json:"chain"`
	Expr  []map[string]json.RawMessage `json:"expr"`
}

// rule reduces the expressions of a rule. xt says that iptables made it.
func (n nftRule) rule() (r Rule, xt bool) {
	for _, e := range n.Expr {
		for kind, raw := range e {
			switch kind {
			case "match":
				r.match(raw)
			case "accept":
				r.Act = Accept
			case "drop", "reject":
				r.Act = Drop
			case "return":
				r.Act = Return
			case "jump", "goto":
				var to struct {
					Target string `json:"target"`
				}
				r.Act = map[string]Act{"jump": Jump, "goto": Goto}[kind]
				if json.Unmarshal(raw, &to) == nil {
					r.Target = n.key(to.Target)
				}
			case "counter", "log", "comment":
			case "xt":
				xt, r.Guess = true, true
			case "vmap":
				r.Act, r.Guess = Accept, true // a map of verdicts: any of them
			default:
				r.Guess = true
			}
		}
	}
	return r, xt
}

// match adds one condition; what it does not know makes the rule a guess.
func (r *Rule) match(raw json.RawMessage) {
	var m struct {
		Op   string `json:"op"`
		Left struct {
			Meta struct {
				Key string `json:"key"`
			} `json:"meta"`
			Payload struct {
				Protocol string `json:"protocol"`
				Field    string `json:"field"`
			} `json:"payload"`
			CT struct {
				Key string `json:"key"`
			} `json:"ct"`
		} `json:"left"`
		Right json.RawMessage `json:"right"`
	}
	if json.Unmarshal(raw, &m) != nil {
		r.Guess = true
		return
	}
	words, ports, clear := values(m.Right)
	not := m.Op == "!="
	pay := m.Left.Payload
	switch {
	case !clear || m.Op != "==" && m.Op != "!=" && m.Op != "in":
		r.Guess = true
	case m.Left.Meta.Key == "iifname" || m.Left.Meta.Key == "iif":
		r.Interfaces, r.NotInterface = append(r.Interfaces, words...), not
	case (m.Left.Meta.Key == "l4proto" || pay.Protocol == "ip" && pay.Field == "protocol") && !not:
		r.Protos = append(r.Protos, words...)
	case pay.Field == "dport":
		r.Ports, r.NotPort = append(r.Ports, ports...), not
		if pay.Protocol != "th" {
			r.Protos = append(r.Protos, pay.Protocol)
		}
	case m.Left.CT.Key == "state":
		r.Never = r.Never || has(words, "new") == not
	case m.Left.Meta.Key == "nfproto" || m.Left.Meta.Key == "protocol":
		r.Never = r.Never || (has(words, "ipv4") || has(words, "ip")) == not
	default:
		r.Guess = true
	}
}

func has(words []string, w string) bool {
	for _, x := range words {
		if x == w {
			return true
		}
	}
	return false
}

// values reads the right side of a match: a word, a number, a list, a set or a range of them.
func values(raw json.RawMessage) (words []string, ports []Range, clear bool) {
	var one string
	var n int
	var list []json.RawMessage
	var deep struct {
		Set   json.RawMessage `json:"set"`
		Range []int           `json:"range"`
	}
	switch {
	case json.Unmarshal(raw, &one) == nil:
		return []string{one}, nil, true
	case json.Unmarshal(raw, &n) == nil:
		return nil, []Range{{n, n}}, true
	case json.Unmarshal(raw, &list) == nil:
		for _, x := range list {
			w, p, c := values(x)
			if !c {
				return nil, nil, false
			}
			words, ports = append(words, w...), append(ports, p...)
		}
		return words, ports, true
	case json.Unmarshal(raw, &deep) != nil:
		return nil, nil, false
	case len(deep.Range) == 2:
		return nil, []Range{{deep.Range[0], deep.Range[1]}}, true
	case deep.Set != nil:
		return values(deep.Set)
	}
	return nil, nil, false
}
