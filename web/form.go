package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// readForm reads what a page's form sent, and stamps the act with what stands hidden in the form: the id by which a form
// that is sent twice has one effect, and the revision of the device as the page showed it, so that an act that was decided
// on an old page is refused.
func readForm(r *http.Request) (context.Context, url.Values, error) {
	err := r.ParseMultipartForm(maxRequest)
	if errors.Is(err, http.ErrNotMultipart) {
		err = r.ParseForm()
	}
	if err != nil {
		return nil, nil, job.Faultf(job.CodeBadRequest, "The form cannot be read: %s.", job.Reason(err))
	}
	f := r.PostForm
	s := store.Stamp{Request: f.Get("key")}
	if s.Request != "" {
		if err := store.CheckRequest(s.Request); err != nil {
			return nil, nil, err
		}
	}
	if v := f.Get("revision"); v != "" {
		if s.Revision, err = strconv.ParseUint(v, 10, 64); err != nil {
			return nil, nil, job.Faultf(job.CodeBadRequest, "The form names no revision: load the page again.")
		}
	}
	return store.WithStamp(r.Context(), s), f, nil
}

// stampFor is the stamp of one device of many in one form: each act has an id of its own.
func stampFor(ctx context.Context, device string, revision uint64) context.Context {
	s := store.StampOf(ctx)
	if s.Request != "" {
		s.Request += "-" + device
	}
	s.Revision = revision
	return store.WithStamp(ctx, s)
}

// pageAct makes a handler of what a form does: do gives where the person is led then. What went wrong is shown on the
// page that the form stands on, with what belongs to it as it is now.
func (a *API) pageAct(do func(ctx context.Context, r *http.Request, f url.Values) (to string, err error), back func(http.ResponseWriter, *http.Request, *job.Fault)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, f, err := readForm(r)
		if err == nil {
			var to string
			if to, err = do(ctx, r, f); err == nil {
				http.Redirect(w, r, to, http.StatusSeeOther)
				return
			}
		}
		back(w, r, a.fault(err))
	}
}

// listBytes is a list that a form sent: a file, or what was pasted.
func listBytes(r *http.Request, pasted string) ([]byte, error) {
	chosen := r.MultipartForm != nil && len(r.MultipartForm.File["file"]) > 0
	switch text := strings.TrimSpace(pasted); {
	case text != "" && chosen:
		return nil, job.Faultf(job.CodeBadRequest, "Send a file or pasted lines, not both.")
	case text != "":
		return []byte(pasted), nil
	case !chosen:
		return nil, job.Faultf(job.CodeBadRequest, "Choose a file, or paste its lines.")
	}
	unread := func(err error) error {
		return job.Faultf(job.CodeBadRequest, "The file cannot be read: %s.", job.Reason(err))
	}
	file, err := r.MultipartForm.File["file"][0].Open()
	if err != nil {
		return nil, unread(err)
	}
	defer file.Close()         // only read
	b, err := io.ReadAll(file) // the whole form is bounded
	if err != nil {
		return nil, unread(err)
	}
	return b, nil
}

// number reads a whole number of a form; an empty field is 0.
func number(f url.Values, name, what string) (int, error) { return wholeNumber(f.Get(name), what) }

// wholeNumber reads one that a person typed; nothing is 0.
func wholeNumber(s, what string) (int, error) {
	if s = strings.TrimSpace(s); s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1e9 {
		return 0, job.Faultf(job.CodeBadRequest, "%s is a whole number, not %.20q.", what, s)
	}
	return n, nil
}

// ticked reports whether a box was ticked.
func ticked(f url.Values, name string) bool { return f.Get(name) != "" }

// sameTyped compares what a person typed with what was asked for.
func sameTyped(typed, want string) bool {
	return want != "" && strings.EqualFold(strings.TrimSpace(typed), strings.TrimSpace(want))
}

func devicePath(id string) string { return "/devices/" + url.PathEscape(id) }

func saidAt(path, word string) string { return path + "?said=" + word }
