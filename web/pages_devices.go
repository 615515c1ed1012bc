package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// maxRows is how many devices stand on one page of the list.
const maxRows = 200

func (a *API) devicesRoutes(rs *routes) {
	rs.handle("GET /devices", store.Viewer, a.devicesPage)
	rs.handle("GET /devices/act", store.Technician, a.bulkAsk)
	rs.handle("POST /devices/act", store.Technician, a.bulkDo)
	rs.handle("GET /devices/{ref}", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.devicePage(w, r, nil) })
	for act, do := range a.deviceActs() {
		rs.handle("POST /devices/{ref}/"+act, store.Technician, a.deviceAct(do))
	}
}

// devicesData is the list of devices.
type devicesData struct {
	Query  string
	Chips  []chip
	Rows   []store.DeviceView
	Found  int
	Total  int
	Page   int
	Before string // addresses of the pages around this one
	After  string
	Fields string
	Follow string // ids of the devices that it shows: the page looks again when one of them changes
}

// chip is one filter with how many it finds.
type chip struct {
	Title, Query string
	Count        int
	Here         bool
}

// devicesPage lists the devices that a search finds. The search stands in the address: it can be kept and sent on.
func (a *API) devicesPage(w http.ResponseWriter, r *http.Request) {
	raw := r.URL.Query().Get("q")
	q, searchErr := parseSearch(raw)
	all, err := a.Bench.Devices(r.Context())
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d := devicesData{Query: raw, Total: len(all), Fields: strings.Join(SearchFields(), ", "), Chips: chips(all, q.String())}
	if searchErr != nil {
		a.show(w, r, "devices", page{Title: "Devices", Area: "devices", Fault: a.fault(searchErr), Data: d})
		return
	}
	found := slices.DeleteFunc(slices.Clone(all), func(v store.DeviceView) bool { return !q.match(v) })
	if len(found) == 1 && raw != "" && r.URL.Query().Has("go") {
		http.Redirect(w, r, devicePath(found[0].ID), http.StatusSeeOther)
		return
	}
	d.Found = len(found)
	d.Page, d.Rows = pageOf(found, r.URL.Query().Get("page"))
	if d.Page > 1 {
		d.Before = listPath(raw, d.Page-1)
	}
	if d.Page*maxRows < d.Found {
		d.After = listPath(raw, d.Page+1)
	}
	shown := make([]string, 0, len(d.Rows))
	for _, v := range d.Rows {
		shown = append(shown, v.ID)
	}
	d.Follow = strings.Join(shown, " ")
	a.show(w, r, "devices", page{Title: "Devices", Area: "devices", Data: d})
}

// pageOf gives one page of a list; a number that is none is the first.
func pageOf[T any](all []T, number string) (int, []T) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || (n-1)*maxRows >= len(all) {
		n = 1
	}
	return n, all[(n-1)*maxRows : min(n*maxRows, len(all))]
}

func listPath(q string, n int) string {
	v := url.Values{"page": {strconv.Itoa(n)}}
	if q != "" {
		v.Set("q", q)
	}
	return "/devices?" + v.Encode()
}

// chips are the filters that people want most; those that find nothing are left out.
func chips(all []store.DeviceView, here string) []chip {
	out := []chip{{Title: "all", Count: len(all), Here: here == ""}}
	for _, c := range []struct{ title, query string }{{"needs a person", "is:waiting"}, {"at work", "is:busy"}, {"new", "state:new"}, {"ready", "state:ready"}, {"promised", "is:promised"},
		{"deployed", "state:deployed"}, {"failed", "state:failed"}, {"returned", "state:returned"}, {"lost", "state:lost"}, {"which laptop?", "state:quarantined"}, {"disposed", "state:disposed"}} {
		q, err := parseSearch(c.query)
		if err != nil {
			continue // none of them
		}
		n := 0
		for _, d := range all {
			if q.match(d) {
				n++
			}
		}
		if n > 0 || q.String() == here {
			out = append(out, chip{c.title, c.query, n, q.String() == here})
		}
	}
	return out
}

// maxBulk bounds the devices of one act.
const maxBulk = 500

// bulkVerbs are what may be done with ticked devices, with the words of the button that does it.
var bulkVerbs = map[string]string{"deploy": "Deploy", "adopt": "Adopt", "owner": "Set the owner", "return": "Take back", "lost": "Report lost", "stop": "Stop the job", "wipe": "Wipe"}

// bulkRow is one device of an act, with what the act means for it.
type bulkRow struct {
	store.DeviceView
	Loses   string // what is destroyed on it; "" when nothing that anybody wants
	InUse   bool   // somebody's data: it must be typed
	Outcome string // what came of it
	Refused bool
	Made    job.ID // the job that it got
}

// bulkData is the confirmation, and then the outcome.
type bulkData struct {
	Do       string
	Verb     string
	Rows     []bulkRow
	InUse    int
	Type     string // what has to be typed: the serial of the one, or the count
	Images   []store.VersionView
	Roles    []store.Role
	Form     url.Values
	Done     bool
	OK, Bad  int
	OwnRoles bool // each device has a role
}

// bulkAsk shows the one confirmation: how many, which, and what is destroyed.
func (a *API) bulkAsk(w http.ResponseWriter, r *http.Request) {
	d, err := a.bulkOf(r.Context(), r.URL.Query())
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	a.show(w, r, "bulk", page{Title: d.title(), Area: "devices", Data: d})
}

func (d bulkData) title() string { return d.Verb + ": " + plural(len(d.Rows), "laptop", "laptops") }

// bulkOf reads what was ticked: devices by their id, or all that a search finds.
func (a *API) bulkOf(ctx context.Context, f url.Values) (d bulkData, err error) {
	d = bulkData{Do: f.Get("do"), Verb: bulkVerbs[f.Get("do")], Form: f, OwnRoles: true}
	if d.Verb == "" {
		return d, job.Faultf(job.CodeBadRequest, "%.20q is nothing that can be done with several laptops.", d.Do)
	}
	views, err := a.ticked(ctx, f)
	if err != nil {
		return d, err
	}
	for _, v := range views {
		row := bulkRow{DeviceView: v}
		if d.Do == "deploy" {
			row.Loses, row.InUse = losesOf(v)
		}
		if d.Do == "wipe" {
			if row.Loses, row.InUse, err = a.wipedOf(ctx, v); err != nil {
				return d, err
			}
		}
		if row.InUse {
			d.InUse++
		}
		d.OwnRoles = d.OwnRoles && v.Role != ""
		d.Rows = append(d.Rows, row)
	}
	d.Type = strconv.Itoa(len(d.Rows))
	if d.Do == "wipe" {
		d.Type = strconv.Itoa(d.InUse)
	}
	if len(d.Rows) == 1 {
		if d.Type = serialToType(views[0].Device); d.Do == "wipe" {
			d.Type = views[0].WipeWord()
		}
	}
	if d.Roles, err = a.Bench.Roles(ctx); err == nil && a.Shelf != nil {
		d.Images, err = a.Shelf.Images(ctx)
		d.Images = slices.DeleteFunc(d.Images, func(v store.VersionView) bool { return !v.Deployable() })
	}
	return d, err
}

func (a *API) ticked(ctx context.Context, f url.Values) (out []store.DeviceView, err error) {
	if f.Has("all") {
		q, err := parseSearch(f.Get("q"))
		if err != nil {
			return nil, err
		}
		all, err := a.Bench.Devices(ctx)
		if err != nil {
			return nil, err
		}
		out = slices.DeleteFunc(all, func(v store.DeviceView) bool { return !q.match(v) })
	} else {
		ids := slices.Compact(slices.Sorted(slices.Values(f["device"])))
		if len(ids) <= maxBulk {
			for _, id := range ids {
				v, err := a.Bench.Device(ctx, id)
				if err != nil {
					return nil, err
				}
				out = append(out, v)
			}
		} else {
			out = make([]store.DeviceView, len(ids))
		}
	}
	slices.SortFunc(out, func(x, y store.DeviceView) int { return strings.Compare(x.Label(), y.Label()) })
	switch {
	case len(out) == 0:
		return nil, job.Faultf(job.CodeNobody, "")
	case len(out) > maxBulk:
		return nil, job.Faultf(job.CodeBadRequest, "%d laptops at once; at most %d are taken.", len(out), maxBulk)
	}
	return out, nil
}

// losesOf says what a deploy destroys on a device, and whether somebody may be working with it.
func losesOf(d store.DeviceView) (string, bool) {
	var holds []string
	for _, x := range d.Drives {
		if !x.Removable {
			holds = append(holds, x.Holds...)
		}
	}
	switch {
	case d.InUse && d.State == store.Deployed && d.Holds != nil:
		s := d.Holds.Image.String() + " since " + dayWord(d.Holds.Finished)
		if d.Owner != "" {
			s += ", used by " + d.Owner
		}
		return s, true
	case d.InUse:
		return "a system that may start, and what is on it", true
	}
	return strings.Join(holds, "; "), false
}

// serialToType is what has to be typed for one device.
func serialToType(d store.Device) string {
	if d.SerialKey == "" && d.Sticker == "" && d.Name != "" {
		return d.Name
	}
	return strings.TrimSpace(d.Serial)
}

// bulkDo does it, device by device: one that is refused does not keep the others from it.
func (a *API) bulkDo(w http.ResponseWriter, r *http.Request) {
	ctx, f, err := readForm(r)
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d, err := a.bulkOf(ctx, f)
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	if d.InUse > 0 && (!sameTyped(f.Get("typed"), d.Type) || d.Do != "wipe" && !ticked(f, "saved")) {
		ask := "Data on %s would be lost: tick that it was saved and type %s."
		if d.Do == "wipe" {
			ask = "Everything on %s would be destroyed for good: type %s."
		}
		a.show(w, r, "bulk", page{Title: d.title(), Area: "devices", Data: d, Fault: job.Faultf(job.CodeTyped, ask, plural(d.InUse, "laptop", "laptops"), d.Type)})
		return
	}
	for i := range d.Rows {
		row := &d.Rows[i]
		outcome, id, err := a.bulkOne(stampFor(ctx, row.ID, seenRevision(f, row.DeviceView)), operatorOf(r), *row, f)
		if err != nil {
			w := wordsOf(a.fault(err))
			outcome, row.Refused = strings.Join(strings.Fields(w.Sentence+" "+w.Fact+" ("+string(w.Code)+")"), " "), true
			d.Bad++
		} else {
			d.OK++
		}
		row.Outcome, row.Made = outcome, id
	}
	d.Done = true
	a.show(w, r, "bulk", page{Title: d.title(), Area: "devices", Data: d})
}

// seenRevision is the revision that the confirmation showed for a device.
func seenRevision(f url.Values, d store.DeviceView) uint64 {
	n, err := strconv.ParseUint(f.Get("revision-"+d.ID), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// bulkOne does it to one device.
func (a *API) bulkOne(ctx context.Context, operator string, d bulkRow, f url.Values) (outcome string, id job.ID, err error) {
	switch f.Get("do") {
	case "deploy":
		o := store.Order{Device: d.ID, StaleReason: f.Get("stale")}
		if o.Image, o.Role, err = wanted(f.Get("image"), d.Role); err != nil {
			return "", "", err
		}
		if d.InUse {
			o.DataSaved, o.Confirm = true, serialToType(d.Device) // the person typed the one serial, or how many laptops it hits
		}
		j, err := a.Bench.Deploy(ctx, operator, o)
		return "ordered: " + j.What(), j.ID, err
	case "wipe":
		if a.Wiper == nil {
			return "", "", job.Faultf(job.CodeDaemon, "This server wipes nothing.")
		}
		j, err := a.Wiper.Wipe(ctx, operator, ActorOf(ctx).Right, store.WipeOrder{Device: d.ID, Confirm: d.WipeWord(), Place: strings.TrimSpace(f.Get("place")), Dispose: ticked(f, "dispose")}) // the person typed the one serial, or how many laptops it hits
		return "ordered: " + j.What(), j.ID, err
	case "adopt":
		// the code that the person compared: another agent may show another one by now
		_, err := a.Bench.Adopt(ctx, operator, store.Adoption{Code: f.Get("code-" + d.ID), Role: f.Get("role")})
		return "adopted", "", err
	case "owner":
		owner := f.Get("owner")
		_, err := a.Bench.SetDevice(ctx, operator, d.ID, store.Correction{Owner: &owner, Reason: f.Get("reason")})
		return "the owner is set", "", err
	case "return":
		_, err := a.Bench.Return(ctx, operator, d.ID, store.Return{From: f.Get("from"), Note: f.Get("note"), Found: d.State == store.Lost || d.State == store.Disposed})
		return "taken back", "", err
	case "lost":
		_, err := a.Bench.Lose(ctx, operator, d.ID, store.Loss{Tell: f.Get("tell"), Note: f.Get("note")})
		return "reported lost", "", err
	}
	if d.Job == nil {
		return "", "", job.Faultf(job.CodeState, "%s has no job.", d.Label())
	}
	s := store.StampOf(ctx)
	s.Untouched = true // one that is half written is stopped on its own page, where it says what that means
	j, err := a.Bench.Cancel(store.WithStamp(ctx, s), operator, d.Job.ID)
	return "is being stopped", j.ID, err
}
