package store

import "os"

// BundleExport asks for a Version to become one bundle file.
type BundleExport struct {
	Image string `json:"image"` // NAME or NAME@VERSION
	File  string `json:"file"`  // absolute path on the server; must not exist

	Opened *os.File `json:"-"` // an empty file that the asker made and will name File; nil lets Ingot make it. It is closed
}

// Bundled is the outcome of a BundleExport.
type Bundled struct {
	Version Version `json:"version"`
	Chunks  uint64  `json:"chunks"`
	Bytes   uint64  `json:"bytes"` // of the file
	Key     string  `json:"key"`   // fingerprint of the key that signed
}

// BundleImport asks for a bundle file to become a Version.
type BundleImport struct {
	File    string `json:"file"`              // absolute path on the server
	Image   string `json:"image,omitempty"`   // the image to put it under; empty keeps its name
	Trust   string `json:"trust,omitempty"`   // fingerprint that the operator compared: its key is taken into the list
	Release bool   `json:"release,omitempty"` // release it in the same act, when nothing speaks against it

	Opened *os.File `json:"-"` // File as the asker opened it; nil lets Ingot open it. It is closed
}

// ImageKeys are the keys whose signed versions are taken here.
type ImageKeys struct {
	Own     string       `json:"own"` // fingerprint
	Trusted []TrustedKey `json:"trusted"`
}
