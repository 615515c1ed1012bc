package doctor_test

import (
	"testing"

	"ingot/cmd/ingot/internal/doctor"
)

func mustNft(t *testing.T, text string) []doctor.Ruleset {
	t.Helper()
	s, err := doctor.ParseNft([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return []doctor.Ruleset{s}
}

// nft puts rules into one input chain with a policy.
func nft(policy, rules string) string {
	if rules != "" {
		rules = "," + rules
	}
	return `{"nftables":[{"metainfo":{"json_schema_version":1}},{"table":{"family":"inet","name":"filter","handle":1}},
	{"chain":{"family":"inet","table":"filter","name":"input","handle":1,"type":"filter","hook":"input","prio":0,"policy":"` + policy + `"}},
	{"chain":{"family":"inet","table":"filter","name":"bench","handle":2}},
	{"chain":{"family":"inet","table":"filter","name":"output","handle":3,"type":"filter","hook":"output","prio":0,"policy":"drop"}},
	{"chain":{"family":"ip6","table":"six","name":"input","handle":3,"type":"filter","hook":"input","prio":0,"policy":"drop"}}` + rules + `]}`
}

func in(chain, expr string) string {
	return `{"rule":{"family":"inet","table":"filter","chain":"` + chain + `","handle":9,"expr":[` + expr + `]}}`
}

const (
	dport67   = `{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":67}}`
	dportSet  = `{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"set":[53,{"range":[60,70]}]}}}`
	onEth0    = `{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"eth0"}}`
	onOthers  = `{"match":{"op":"!=","left":{"meta":{"key":"iifname"}},"right":{"set":["eth0","lo"]}}}`
	stateOpen = `{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}}`
	stateNew  = `{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["new"]}}`
	fromNet   = `{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":{"prefix":{"addr":"10.0.0.0","len":8}}}}`
	tcp       = `{"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":"tcp"}}`
	count     = `{"counter":{"packets":1,"bytes":2}}`
	accept    = `{"accept":null}`
	drop      = `{"drop":null}`
)

func TestWhatNftDoesWithADiscover(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want doctor.Verdict
	}{
		"no rules and no policy":                 {nft("accept", ""), doctor.Accepted},
		"everything dropped":                     {nft("drop", ""), doctor.Dropped},
		"the port let in":                        {nft("drop", in("input", dport67+","+count+","+accept)), doctor.Accepted},
		"a set with the port let in":             {nft("drop", in("input", dportSet+","+accept)), doctor.Accepted},
		"only open connections let in":           {nft("drop", in("input", stateOpen+","+accept)), doctor.Dropped},
		"new connections let in":                 {nft("drop", in("input", stateNew+","+accept)), doctor.Accepted},
		"the interface let in":                   {nft("drop", in("input", onEth0+","+accept)), doctor.Accepted},
		"every interface but ours let in":        {nft("drop", in("input", onOthers+","+accept)), doctor.Dropped},
		"only TCP let in":                        {nft("drop", in("input", tcp+","+accept)), doctor.Dropped},
		"the port dropped by name":               {nft("accept", in("input", dport67+","+drop)), doctor.Dropped},
		"the port rejected":                      {nft("accept", in("input", dport67+`,{"reject":{"type":"icmp"}}`)), doctor.Dropped},
		"let in before it is dropped":            {nft("accept", in("input", onEth0+","+accept)+","+in("input", dport67+","+drop)), doctor.Accepted},
		"let in by a chain of its own":           {nft("drop", in("input", `{"jump":{"target":"bench"}}`)+","+in("bench", dport67+","+accept)), doctor.Accepted},
		"a chain that comes back":                {nft("drop", in("input", `{"jump":{"target":"bench"}}`)+","+in("bench", `{"return":null}`)+","+in("bench", accept)), doctor.Dropped},
		"a chain that it does not come back of":  {nft("drop", in("input", `{"goto":{"target":"bench"}}`)+","+in("input", accept)), doctor.Dropped},
		"let in from a network":                  {nft("drop", in("input", fromNet+","+accept)), doctor.Unclear},
		"dropped from a network":                 {nft("accept", in("input", fromNet+","+drop)), doctor.Unclear},
		"a chain that calls itself":              {nft("drop", in("input", `{"jump":{"target":"bench"}}`)+","+in("bench", `{"jump":{"target":"bench"}}`)), doctor.Unclear},
		"a chain that calls itself twice":        {nft("drop", in("input", `{"jump":{"target":"bench"}}`)+","+in("bench", `{"jump":{"target":"bench"}}`)+","+in("bench", `{"jump":{"target":"bench"}}`)+","+in("bench", `{"jump":{"target":"bench"}}`)), doctor.Unclear},
		"a chain that is not there":              {nft("drop", in("input", `{"jump":{"target":"nowhere"}}`)), doctor.Unclear},
		"a rule of a kind that is not known":     {nft("drop", in("input", `{"fib":{}},`+accept)), doctor.Unclear},
		"a verdict map":                          {nft("drop", in("input", `{"vmap":{"key":{},"data":{}}}`)), doctor.Unclear},
		"a rule that iptables made is not nft's": {nft("drop", in("input", `{"xt":{"type":"match","name":"comment"}},`+drop)), doctor.Accepted},
	} {
		if got, where := doctor.Passes(mustNft(t, c.text), doctor.Packet{Interface: "eth0", Proto: "udp", Port: 67}); got != c.want || (got == doctor.Accepted) != (where == "") {
			t.Errorf("%s: %v by %q; want %v", name, got, where, c.want)
		}
	}
	if _, err := doctor.ParseNft([]byte("no JSON")); err == nil {
		t.Error("text that is no JSON was read")
	}
}

func TestWhatIptablesDoesWithADiscover(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want doctor.Verdict
	}{
		"no rules":                       {":INPUT ACCEPT [0:0]\n", doctor.Accepted},
		"everything dropped":             {":INPUT DROP [0:0]\n", doctor.Dropped},
		"the port let in":                {":INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 67 -j ACCEPT\n", doctor.Accepted},
		"several ports let in":           {":INPUT DROP [0:0]\n-A INPUT -i eth0 -p udp -m multiport --dports 53,60:70 -j ACCEPT\n", doctor.Accepted},
		"other ports let in":             {":INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 69 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 67 -j ACCEPT\n", doctor.Dropped},
		"another interface":              {":INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n", doctor.Dropped},
		"any of a kind of interfaces":    {":INPUT DROP [0:0]\n-A INPUT -i eth+ -j ACCEPT\n", doctor.Accepted},
		"all interfaces but ours":        {":INPUT DROP [0:0]\n-A INPUT ! -i eth0 -j ACCEPT\n", doctor.Dropped},
		"open connections":               {":INPUT DROP [0:0]\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", doctor.Dropped},
		"what is not invalid":            {":INPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate INVALID -j DROP\n", doctor.Accepted},
		"a comment of several words":     {":INPUT DROP [0:0]\n-A INPUT -m comment --comment \"for -p tcp laptops\" -p udp -j ACCEPT\n", doctor.Accepted},
		"logged and dropped":             {":INPUT ACCEPT [0:0]\n-A INPUT -p udp -j LOG --log-prefix \"udp \"\n-A INPUT -p udp -j REJECT --reject-with icmp-port-unreachable\n", doctor.Dropped},
		"a chain of ufw's":               {":INPUT DROP [0:0]\n:ufw-user-input - [0:0]\n-A INPUT -j ufw-user-input\n-A ufw-user-input -p udp -m udp --dport 67 -j ACCEPT\n", doctor.Accepted},
		"a limit":                        {":INPUT DROP [0:0]\n-A INPUT -p udp -m limit --limit 3/min -j ACCEPT\n", doctor.Unclear},
		"only from one network":          {":INPUT DROP [0:0]\n-A INPUT -s 10.0.0.0/8 -p udp -j ACCEPT\n", doctor.Unclear},
		"another table drops for itself": {":INPUT ACCEPT [0:0]\nCOMMIT\n*nat\n:INPUT DROP [0:0]\n", doctor.Accepted},
	} {
		set := doctor.ParseIptables("# made by hand\n*filter\n" + c.text + "COMMIT\n")
		if got, _ := doctor.Passes([]doctor.Ruleset{set}, doctor.Packet{Interface: "eth0", Proto: "udp", Port: 67}); got != c.want {
			t.Errorf("%s: %v; want %v", name, got, c.want)
		}
	}
}

func FuzzFirewall(f *testing.F) {
	f.Add(nft("drop", in("input", dportSet+","+stateOpen+","+accept)), "*filter\n:INPUT DROP [0:0]\n-A INPUT ! -i eth+ -m comment --comment \"a b\" --dports 1:2,3 -j x\n")
	f.Add(`{"nftables":[{"chain":null}]}`, "*filter\n:INPUT\n-A INPUT --comment \"\n-A")
	f.Fuzz(func(t *testing.T, nft, iptables string) {
		p := doctor.Packet{Interface: "eth0", Proto: "udp", Port: 67}
		if set, err := doctor.ParseNft([]byte(nft)); err == nil {
			doctor.Passes([]doctor.Ruleset{set}, p)
		}
		doctor.Passes([]doctor.Ruleset{doctor.ParseIptables(iptables)}, p)
	})
}
