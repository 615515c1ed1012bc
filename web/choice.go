package web

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// A form that was refused comes back as it was sent: the person chose one image and one drive, and presses again without
// reading every field anew. Only what confirms a loss, the box and the serial that was typed, is given anew, for what the
// page shows now.

// sent is what one form of a page sent a moment ago; without fields when another form was sent, or none.
type sent struct{ url.Values }

// Is reports whether this form is the one that was sent.
func (s sent) Is() bool { return s.Values != nil }

// Picked reports whether a choice was made; before anything is sent, the page chooses.
func (s sent) Picked(name, value string, before bool) bool {
	if !s.Is() {
		return before
	}
	return s.Get(name) == value
}

// Unusual reports whether something was chosen that is folded away.
func (s sent) Unusual() bool {
	return s.Get("trial")+s.Get("unnamed")+s.Get("health")+s.Get("stale") != ""
}

// option is one line of a choice.
type option struct {
	Value, Text string
	Chosen      bool
}

// choose marks what was chosen. What was sent and is not offered any more stays chosen and says so: a browser would take
// the first line instead, which nobody chose.
func (s sent) choose(name, before string, all []option) []option {
	want := before
	if s.Is() {
		want = s.Get(name)
	}
	for i := range all {
		if all[i].Value == want {
			all[i].Chosen = true
			return all
		}
	}
	if s.Is() && want != "" {
		all = append(all, option{want, want + ", not offered any more", true})
	}
	return all
}

// roleOptions are roles by which a laptop gets its image.
func roleOptions(roles []store.Role) (out []option) {
	for _, r := range roles {
		out = append(out, option{Value: "role:" + r.Name, Text: fmt.Sprintf("role %s (%s)", r.Name, r.Image)})
	}
	return out
}

// ImageOptions are what this laptop may get.
func (d deviceData) ImageOptions() []option {
	out := roleOptions(d.Roles)
	for _, v := range d.Images {
		text := fmt.Sprintf("%s %s, %s", v.Ref(), v.Label, v.Word())
		if v.Current {
			text += ", current"
		}
		out = append(out, option{Value: "image:" + v.Ref().String(), Text: text})
	}
	return d.Sent("deploy").choose("image", "role:"+d.Role, out)
}

// DriveOptions are its drives, where there is a choice between them, or a form that was sent made one.
func (d deviceData) DriveOptions(form, none string) []option {
	s := d.Sent(form)
	if len(d.Drives) < 2 && s.Get("drive") == "" {
		return nil
	}
	out := []option{{Text: none}}
	for _, x := range d.Drives {
		out = append(out, option{Value: x.Serial, Text: fmt.Sprintf("%s, %s, serial %s", x.Model, sizeWord(x.SizeBytes), x.Serial)})
	}
	return s.choose("drive", "", out)
}

// ownRole is the choice by which each of several laptops gets the image of its own role.
const ownRole = "own"

// ImageOptions are what all of them may get.
func (d bulkData) ImageOptions() (out []option) {
	if d.OwnRoles {
		out = append(out, option{Value: ownRole, Text: "each the image of its own role"})
	}
	out = append(out, roleOptions(d.Roles)...)
	var older []option
	for _, v := range d.Images {
		value, text := v.Image, fmt.Sprintf("%s, current version %d", v.Image, v.Number)
		if !v.Current {
			value, text = v.Ref().String(), fmt.Sprintf("%s version %d", v.Image, v.Number)
		}
		if v.Label != "" {
			text += " (" + v.Label + ")"
		}
		o := option{Value: "image:" + value, Text: text}
		if v.Current {
			out = append(out, o)
		} else {
			older = append(older, o)
		}
	}
	return sent{d.Form}.choose("image", "", append(out, older...))
}

// wanted reads a choice of ImageOptions: an image, or a role whose image it is. own is the role of the laptop.
func wanted(choice, own string) (image, role string, err error) {
	switch kind, what, _ := strings.Cut(choice, ":"); {
	case choice == ownRole:
		return "", own, nil
	case kind == "image":
		return what, "", nil
	case kind == "role":
		return "", what, nil
	}
	return "", "", job.Faultf(job.CodeBadRequest, "%.60q is no choice of an image: load the page again.", cmp.Or(choice, "nothing"))
}
