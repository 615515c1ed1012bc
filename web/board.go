package web

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// boardView is the board in the words and links of the page. Everything in it is text for people: the script puts it in
// place and computes nothing.
type boardView struct {
	Tiles []tileView `json:"tiles"`
	Head  headView   `json:"head"`
}

// headView is what stands over the tiles.
type headView struct {
	Done    int        `json:"done"`
	Running int        `json:"running"`
	Waiting int        `json:"waiting"`
	Failed  int        `json:"failed"`
	Rate    string     `json:"rate"`  // of all laptops together; "" while nothing is written
	Limit   string     `json:"limit"` // what holds it up
	Bench   string     `json:"bench"` // whether unknown laptops are answered
	Open    bool       `json:"open"`
	Auto    string     `json:"auto,omitempty"` // the policy, when it is on
	More    string     `json:"more,omitempty"` // laptops that have no tile
	Needs   []needView `json:"needs"`          // who needs a person, the most urgent first
}

// tileView is one tile.
type tileView struct {
	ID      string `json:"id"`
	Label   string `json:"label"`
	Word    string `json:"word"`
	Colour  string `json:"colour"`
	Icon    string `json:"icon"`
	Percent int    `json:"percent"` // -1: no bar
	Share   string `json:"share"`   // 63 %
	Rate    string `json:"rate"`
	Left    string `json:"left"`
	Safe    string `json:"safe"`
	Plug    string `json:"plug"` // the icon of Safe
	Say     string `json:"say"`
	Code    string `json:"code"`
}

// needView is one thing that a person does: a sentence and one button. A button that leads to a page has no Form.
type needView struct {
	Sentence string   `json:"sentence"`
	Colour   string   `json:"colour"`
	Button   string   `json:"button,omitempty"`
	To       string   `json:"to,omitempty"`   // where the button leads, or the form goes
	Form     bool     `json:"form,omitempty"` // it is sent, not followed
	Device   []string `json:"device,omitempty"`
	Revision uint64   `json:"revision,omitempty"`
	Code     string   `json:"code,omitempty"`
}

// icons give each colour a shape of its own, for whoever does not see colours.
var icons = map[job.Colour]string{job.Grey: "clock", job.Yellow: "hand", job.Blue: "work", job.Green: "done", job.Red: "failed"}

// plugs are the icons of what may be done with the cable.
var plugs = map[string]string{"": "free", job.KeepPlugged: "keep", job.NetworkFree: "free", job.UnplugAllowed: "free"}

// leftShort is the time that is left, as short as a tile of sixty needs it.
func leftShort(seconds int) string {
	if seconds < 60 {
		return job.LeftWord(time.Duration(seconds) * time.Second)
	}
	if seconds < 2*60*60 {
		return fmt.Sprintf("%d min left", (seconds+30)/60)
	}
	return fmt.Sprintf("%d h left", (seconds+1800)/3600)
}

// tileWords is a tile in words.
func tileWords(t store.Tile) tileView {
	v := tileView{ID: t.Device, Label: cmp.Or(t.Label, t.Serial, t.Device), Word: t.Word, Colour: string(t.Colour), Icon: icons[t.Colour], Percent: t.Percent,
		Safe: t.SafeTo, Plug: plugs[t.SafeTo], Say: strings.TrimSpace(t.Say + " " + t.Next), Code: t.Code}
	if t.Percent >= 0 && t.Colour != job.Green {
		v.Share = fmt.Sprintf("%d %%", t.Percent)
	}
	if t.Rate > 0 {
		v.Rate = job.RateWord(t.Rate)
	}
	if t.Percent >= 0 && t.Left >= 0 {
		v.Left = leftShort(t.Left)
	}
	if t.Fault != "" {
		v.Say += " (" + string(t.Fault) + ")"
	}
	return v
}

// viewBoard puts a board into words.
func viewBoard(b store.Board, limit string, now time.Time) boardView {
	v := boardView{Tiles: make([]tileView, 0, len(b.Tiles))}
	var rate uint64
	for _, t := range b.Tiles {
		v.Tiles = append(v.Tiles, tileWords(t))
		rate += t.Rate
	}
	c := b.Counts
	v.Head = headView{Done: c.Done, Running: c.Running, Waiting: c.Waiting, Failed: c.Failed, Limit: limit, Needs: needs(b, now)}
	if rate > 0 {
		v.Head.Rate = job.RateWord(rate)
	}
	v.Head.Bench, v.Head.Open = benchWord(b.Bench, now)
	if b.Auto.On(now) {
		v.Head.Auto = fmt.Sprintf("New laptops get the role %s by themselves until %s; %d may still start.", b.Auto.Role, clockWord(b.Auto.Until, now), b.Auto.Left)
	}
	if b.More > 0 {
		v.Head.More = fmt.Sprintf("and %d more", b.More)
	}
	neutralText(&v)
	return v
}

func benchWord(b store.Bench, now time.Time) (string, bool) {
	if !b.Open(now) {
		return "The bench is closed: unknown laptops are not answered.", false
	}
	return "The bench is open until " + clockWord(b.OpenUntil, now) + ".", true
}

// clockWord is a time of today by its clock, else with its day. It is the server's: a bench stands where its server does.
func clockWord(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("Mon 2 Jan 15:04")
}

// needs says who needs a person, what for, and gives the one button that does it. Laptops that need the same stand in one
// sentence.
func needs(b store.Board, now time.Time) (out []needView) {
	by := map[store.BoardAct][]store.Tile{}
	for _, t := range b.Tiles {
		by[t.Act] = append(by[t.Act], t)
	}
	for _, act := range []store.BoardAct{store.ActAlarm, store.ActAgain, store.ActSettle, store.ActHelp} {
		for i, t := range by[act] {
			if i == maxNeeds {
				out = append(out, needView{Sentence: fmt.Sprintf("%d more laptops need the same.", len(by[act])-i), Colour: string(t.Colour), Button: "Show them", To: "/devices?q=state:" + string(stateOf(act))})
				break
			}
			out = append(out, needOf(t))
		}
	}
	out = append(out, needCode(by[store.ActAdopt])...)
	out = append(out, needStart(by[store.ActStart])...)
	if many := by[store.ActOrder]; len(many) > 0 {
		out = append(out, needView{Sentence: fmt.Sprintf("%s ready and nobody said what for.", isAre(many)), Colour: string(job.Yellow), Button: "Give an order", To: orderLink(many)})
	}
	if many := by[store.ActSwitch]; len(many) > 0 {
		out = append(out, needView{Sentence: fmt.Sprintf("%s ordered and not here: switch them on and let them start from the network.", isAre(many)), Colour: string(job.Grey), Button: "Show the orders", To: "/jobs"})
	}
	if !b.Bench.Open(now) && len(b.Tiles) == 0 {
		out = append(out, needView{Sentence: "The bench is closed: unknown laptops are not answered.", Colour: string(job.Grey), Button: "Open it for 4 hours", To: "/bench/open", Form: true})
	}
	return out
}

// maxNeeds bounds the sentences about one kind of need.
const maxNeeds = 5

func stateOf(a store.BoardAct) store.DeviceState {
	switch a {
	case store.ActAlarm:
		return store.Lost
	case store.ActSettle:
		return store.Quarantined
	case store.ActAgain:
		return store.Failed
	}
	return store.Deploying
}

// needOf is about one laptop.
func needOf(t store.Tile) needView {
	label := cmp.Or(t.Label, t.Serial, t.Device)
	n := needView{Sentence: fmt.Sprintf("%s: %s", label, strings.TrimSpace(t.Say+" "+t.Next)), Colour: string(t.Colour), Button: "Open " + label, To: "/devices/" + url.PathEscape(t.Device)}
	switch t.Act {
	case store.ActAgain:
		n.Sentence = fmt.Sprintf("%s %s. %s", label, t.Word, strings.TrimSpace(t.Say+" "+t.Next))
		if t.Fault != "" {
			n.Sentence += " (" + string(t.Fault) + ")"
		}
	case store.ActSettle:
		n.Sentence, n.Button = "Which laptop is this? "+t.Say, "Settle it"
	case store.ActHelp:
		if t.Word == job.WordSecond {
			n.Button, n.To = "Look at the order", jobPath(t.Job)
		}
	}
	return n
}

// needCode is about laptops that show a code.
func needCode(many []store.Tile) []needView {
	switch {
	case len(many) == 0:
		return nil
	case len(many) == 1 && many[0].Code != "" && !many[0].Sticker:
		t := many[0]
		return []needView{{Sentence: fmt.Sprintf("A new laptop shows %s: %s, serial %s. Is that the serial on its sticker?", t.Code, t.Model, t.Serial), Colour: string(job.Yellow),
			Button: "Adopt it", To: "/adopt", Form: true, Code: t.Code, Revision: t.Revision}}
	case len(many) == 1:
		t := many[0]
		return []needView{{Sentence: fmt.Sprintf("A new laptop tells no serial of its own: %s. Scan its sticker.", t.Model), Colour: string(job.Yellow), Button: "Open it", To: "/devices/" + url.PathEscape(t.Device)}}
	}
	return []needView{{Sentence: fmt.Sprintf("%d new laptops show a code.", len(many)), Colour: string(job.Yellow), Button: "Scan them", To: "/scan"}}
}

// needStart is about laptops that wait for one press.
func needStart(many []store.Tile) []needView {
	if len(many) == 0 {
		return nil
	}
	n := needView{Colour: string(job.Yellow), To: "/deploy", Form: true}
	for _, t := range many {
		n.Device = append(n.Device, t.Device)
	}
	if len(many) == 1 {
		n.Sentence = fmt.Sprintf("%s is ready for the role %s.", cmp.Or(many[0].Label, many[0].Serial), many[0].Role)
		n.Button, n.Revision = "Start "+cmp.Or(many[0].Label, many[0].Serial), many[0].Revision
		return []needView{n}
	}
	n.Sentence, n.Button = fmt.Sprintf("%d laptops are ready for their roles.", len(many)), fmt.Sprintf("Start %d laptops", len(many))
	return []needView{n}
}

func isAre(many []store.Tile) string {
	if len(many) == 1 {
		return cmp.Or(many[0].Label, many[0].Serial) + " is"
	}
	return fmt.Sprintf("%d laptops are", len(many))
}

// orderLink leads to the order for some laptops.
func orderLink(many []store.Tile) string {
	q := url.Values{"do": {"deploy"}}
	for _, t := range many {
		q.Add("device", t.Device)
	}
	return "/devices/act?" + q.Encode()
}

// board reads the board and puts it into words. It is the live stream's, when one runs and is fresh.
func (a *API) board(ctx context.Context) (boardView, error) {
	if v, ok := a.live.fresh(); ok {
		return v, nil
	}
	return a.readBoard(ctx)
}

// readBoard reads it anew.
func (a *API) readBoard(ctx context.Context) (boardView, error) {
	b, err := a.Bench.Board(ctx)
	if err != nil {
		return boardView{}, err
	}
	load := Load{CPU: -1}
	if a.Load != nil {
		load = a.Load()
	}
	now := time.Now()
	v := viewBoard(b, limitOf(load, b.Tiles, a.live.meter(b.Tiles, now)), now)
	if v.Head.Needs = append(v.Head.Needs, a.untold(ctx, now)...); a.Access == nil {
		return v, nil
	}
	notices, err := a.Access.Notices()
	v.Head.Needs = append(noticed(notices, now), v.Head.Needs...)
	return v, err
}

// noticed are the sentences about what somebody did to the way in; each stays until it was seen.
func noticed(all []store.Notice, now time.Time) (out []needView) {
	for _, n := range all {
		out = append(out, needView{Sentence: fmt.Sprintf("%s It was at %s.", n.Text, clockWord(n.Time, now)), Colour: string(job.Red), Button: "I have seen it", To: fmt.Sprintf("/notices/%d/seen", n.Number), Form: true})
	}
	return out
}

// untoldEvery is how often the board looks for what other systems could not be told: that reads all that waits for them.
const untoldEvery = 5 * time.Second

// untold remembers what they could not be told.
type untold struct {
	mu    sync.Mutex
	at    time.Time
	needs []needView
}

// untold are the sentences about asset registers and webhooks that need a person. What cannot be read is missing: the
// page of them says so, and the board is for laptops.
func (a *API) untold(ctx context.Context, now time.Time) []needView {
	if a.Push == nil {
		return nil
	}
	u := &a.push
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.at) < untoldEvery {
		return u.needs
	}
	lines, err := a.Push.Trouble(ctx)
	if err != nil {
		a.fault(err)
		return u.needs
	}
	u.at, u.needs = now, nil
	for _, l := range lines {
		u.needs = append(u.needs, needView{Sentence: l, Colour: string(job.Yellow), Button: "Look", To: "/settings/push"})
	}
	return u.needs
}

// Blank is the tile that the script copies.
func (boardView) Blank() tileView {
	return tileView{Colour: string(job.Grey), Icon: icons[job.Grey], Plug: plugs[""], Percent: -1}
}

// Bar is the length of a tile's bar; none has the length 0.
func (t tileView) Bar() int { return max(0, t.Percent) }
