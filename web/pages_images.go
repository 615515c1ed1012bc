package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *API) imagePages(rs *routes) {
	rs.handle("GET /images", store.Viewer, a.imagesPage)
	rs.handle("GET /images/{image}", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.imagePage(w, r, nil) })
	rs.handle("GET /images/{image}/diff", store.Viewer, a.diffPage)
	rs.handle("GET /images/{image}/{number}", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.versionPage(w, r, nil) })
	rs.handle("POST /images/{image}/rollback", store.ImageManager, a.pageAct(a.doRollback, a.imagePage))
	rs.handle("POST /images/{image}/cadence", store.ImageManager, a.pageAct(a.doCadence, a.imagePage))
	for act, do := range a.versionActs() {
		rs.handle("POST /images/{image}/{number}/"+act, store.ImageManager, a.pageAct(func(ctx context.Context, r *http.Request, f url.Values) (string, error) {
			word, err := do(ctx, operatorOf(r), versionRef(r), f)
			return saidAt(versionPath(r.PathValue("image"), r.PathValue("number")), word), err
		}, a.versionPage))
	}
}

func imagePath(image string) string { return "/images/" + url.PathEscape(image) }

func versionPath(image, number string) string {
	return imagePath(image) + "/" + url.PathEscape(number)
}

func versionRef(r *http.Request) string { return r.PathValue("image") + "@" + r.PathValue("number") }

// imageRow is one image in the list.
type imageRow struct {
	Name     string
	Current  *store.VersionView
	Versions int
	Drafts   int
	Held     int // devices that hold any of its versions now
}

// imagesPage lists the images; backups stand apart, under the device that they are of.
func (a *API) imagesPage(w http.ResponseWriter, r *http.Request) {
	all, err := a.Shelf.Images(r.Context())
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	var rows []imageRow
	backups := 0
	for _, v := range all {
		if v.Kind == store.Backup {
			backups++
			continue
		}
		i := slices.IndexFunc(rows, func(x imageRow) bool { return x.Name == v.Image })
		if i < 0 {
			rows, i = append(rows, imageRow{Name: v.Image}), len(rows)
		}
		row := &rows[i]
		row.Versions++
		row.Held += v.Held
		if v.State == store.Draft && !v.Deleted {
			row.Drafts++
		}
		if v.Current {
			row.Current = &v
		}
	}
	a.show(w, r, "images", page{Title: "Images", Area: "images", Data: struct {
		Rows    []imageRow
		Backups int
	}{rows, backups}})
}

// imageData is one image with its versions.
type imageData struct {
	store.Image
	Versions []store.VersionView // newest first
	Before   []store.VersionView // that may become current again
	Form     url.Values
}

func (a *API) imagePage(w http.ResponseWriter, r *http.Request, f *job.Fault) {
	h, err := a.Shelf.History(r.Context(), r.PathValue("image"))
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	all, err := a.Shelf.Images(r.Context())
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d := imageData{Image: h.Image, Form: r.PostForm}
	for _, v := range all {
		if v.Image != h.Name {
			continue
		}
		d.Versions = append(d.Versions, v)
		if v.Deployable() && !v.Current {
			d.Before = append(d.Before, v)
		}
	}
	slices.Reverse(d.Versions)
	slices.Reverse(d.Before)
	slices.Reverse(d.Acts)
	a.show(w, r, "image", page{Title: "Image " + h.Name, Area: "images", Fault: f, Data: d})
}

func (a *API) doRollback(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	to, err := number(f, "to", "A version")
	if err != nil {
		return "", err
	}
	_, err = a.Shelf.Rollback(ctx, operatorOf(r), store.VersionOrder{Version: r.PathValue("image"), To: to, Reason: f.Get("reason")})
	return saidAt(imagePath(r.PathValue("image")), "rolledback"), err
}

func (a *API) doCadence(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	days, err := number(f, "days", "A cadence in days")
	if err != nil {
		return "", err
	}
	_, err = a.Shelf.SetCadence(ctx, operatorOf(r), store.VersionOrder{Version: r.PathValue("image"), Days: days})
	return saidAt(imagePath(r.PathValue("image")), "cadence"), err
}

// versionData is one version.
type versionData struct {
	store.VersionView
	Content  *store.Content
	NotSeen  *faultWords // why its content is not known
	Holders  []store.Recipient
	Others   []store.Version // with which it may be compared
	Reds     []store.Finding
	Packages []store.Package
	Form     url.Values
}

// maxPackages is how many packages a page lists; the whole list is a file.
const maxPackages = 3000

func (a *API) versionPage(w http.ResponseWriter, r *http.Request, f *job.Fault) {
	ctx, ref := r.Context(), versionRef(r)
	h, err := a.Shelf.History(ctx, r.PathValue("image"))
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	all, err := a.Shelf.Images(ctx)
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	i := slices.IndexFunc(all, func(v store.VersionView) bool {
		return v.Image == h.Name && strconv.Itoa(v.Number) == r.PathValue("number")
	})
	if i < 0 {
		a.showFault(w, r, job.Faultf(job.CodeNotFound, "No version %.60q.", ref))
		return
	}
	d := versionData{VersionView: all[i], Form: r.PostForm, Reds: all[i].Reds()}
	for _, o := range h.Versions {
		if o.Number != d.Number && !o.Deleted {
			d.Others = append(d.Others, o)
		}
	}
	slices.Reverse(d.Others)
	if d.Holders, err = a.Shelf.Recipients(ctx, ref); err != nil {
		a.showFault(w, r, err)
		return
	}
	inside, err := a.Shelf.Inside(ctx, ref)
	if err != nil {
		d.NotSeen = wordsOf(a.fault(err))
	} else {
		d.Content, d.Packages = &inside.Content, inside.Content.Packages[:min(len(inside.Content.Packages), maxPackages)]
	}
	a.show(w, r, "version", page{Title: d.Ref().String(), Area: "images", Fault: f, Data: d})
}

// versionDo is one act on a version: it gives the word for what was done.
type versionDo func(ctx context.Context, operator, ref string, f url.Values) (string, error)

func (a *API) versionActs() map[string]versionDo {
	order := func(ref string, f url.Values) store.VersionOrder {
		return store.VersionOrder{Version: ref, Reason: f.Get("reason"), Override: f.Get("override"), Force: ticked(f, "force")}
	}
	plain := func(word string, do func(context.Context, string, store.VersionOrder) (store.VersionView, error)) versionDo {
		return func(ctx context.Context, operator, ref string, f url.Values) (string, error) {
			_, err := do(ctx, operator, order(ref, f))
			return word, err
		}
	}
	typed := func(next versionDo) versionDo { // what cannot be undone is confirmed by the version's own name
		return func(ctx context.Context, operator, ref string, f url.Values) (string, error) {
			if !sameTyped(f.Get("typed"), ref) {
				return "", job.Faultf(job.CodeTyped, "It is not %s.", ref)
			}
			return next(ctx, operator, ref, f)
		}
	}
	return map[string]versionDo{
		"release": plain("released", a.Shelf.Release), "retire": plain("retired", a.Shelf.Retire),
		"withdraw": typed(plain("withdrawn", a.Shelf.Withdraw)), "delete": typed(plain("deleted", a.Shelf.Delete)),
		"note": func(ctx context.Context, operator, ref string, f url.Values) (string, error) {
			_, err := a.Shelf.SetNote(ctx, operator, ref, store.Note{Note: f.Get("note")})
			return "noted", err
		},
		"look": func(ctx context.Context, operator, ref string, _ url.Values) (string, error) {
			_, err := a.Shelf.LookAgain(ctx, operator, ref, func(store.Work) {})
			return "looked", err
		},
	}
}

// diffPage compares two versions of an image.
func (a *API) diffPage(w http.ResponseWriter, r *http.Request) {
	image, q := r.PathValue("image"), r.URL.Query()
	from, to := image+"@"+q.Get("a"), image+"@"+q.Get("b")
	d, err := a.Shelf.Compare(r.Context(), from, to, func(store.Work) {})
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	a.show(w, r, "diff", page{Title: from + " against " + to, Area: "images", Data: d})
}

// Path is the address of a version's page.
func (d versionData) Path() string { return versionPath(d.Image, strconv.Itoa(d.Number)) }

// changeList is one kind of change between two versions.
type changeList struct {
	Title string
	List  []store.PackageChange
}

func changesOf(title string, list []store.PackageChange) changeList { return changeList{title, list} }
