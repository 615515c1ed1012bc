package store

import "slices"

// Right is what an operator may do. Each covers those before it.
type Right string

// The rights, from the least on.
const (
	Viewer        Right = "viewer"        // sees everything, changes nothing
	Technician    Right = "technician"    // adopts, deploys, renames, captures, takes back, wipes
	ImageManager  Right = "image-manager" // decides which versions laptops receive, and what a role is
	Administrator Right = "administrator" // operators, keys, other servers, files of the server, what happens without a person
)

// Rights lists every right once, from the least on.
var Rights = []Right{Viewer, Technician, ImageManager, Administrator}

// Covers reports whether who has r may do what needs need. An unknown right covers nothing, and nothing covers it.
func (r Right) Covers(need Right) bool {
	have, want := slices.Index(Rights, r), slices.Index(Rights, need)
	return want >= 0 && have >= want
}
