package main

import (
	"path"
	"strings"

	"ingot/imaging/inspect"
	"ingot/imaging/job"
	"ingot/store"
)

// mustHave is a piece of software that the site wants in its images.
type mustHave struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
	Image   string `toml:"image"`
}

// mustHaveHint stands where nothing is asked for.
const mustHaveHint = `
# Software that every image of this site must hold, or the versions of one image. A version without it gets a red line
# on its checklist, which blocks its release. Names are those of "ingot image software".
#[[image.must_have]]
#name = "endpoint-agent*"                # of a package; * stands for any letters
#version = "7.2"                         # the oldest that will do; may be left out
#image = "sales"                         # only in versions of this image; may be left out
`

func (c config) mustHave() (out []inspect.Need) {
	for _, m := range c.Image.MustHave {
		out = append(out, inspect.Need(m))
	}
	return out
}

func checkMustHave(all []mustHave) error {
	for _, m := range all {
		_, err := path.Match(m.Name, "")
		if strings.TrimSpace(m.Name) == "" || len(m.Name)+len(m.Version) > 200 || err != nil {
			return usage{job.Faultf(job.CodeBadRequest, "image.must_have: %.60q is no name of a package.", m.Name)}
		}
		if m.Image != "" && store.CheckLabel("an image", m.Image) != nil {
			return usage{job.Faultf(job.CodeBadRequest, "image.must_have: %.60q is no name of an image.", m.Image)}
		}
	}
	return nil
}
