package web

import (
	"slices"

	"ingot/imaging/wipe"
	"ingot/imaging/wipe/cert"
	"ingot/store"
)

// ofRecords are the questions about records.
var ofRecords = []parameter{{"of", "Of one device or drive; all when it is left out."}, {"since", "First day, such as 2026-11-01."}, {"until", "Last day."}}

// ofWipes are the routes of wiping and of the records about drives.
var ofWipes = map[string]operation{
	"POST /api/v1/wipes":                  {what: "Orders the drives of a device that came back to be wiped. Its serial is typed in confirm.", in: store.WipeOrder{}, out: store.JobView{}, act: true},
	"POST /api/v1/wipes/{id}/agree":       {what: "A second person's word to a wipe, where the site wants one.", in: Agreement{}, out: store.JobView{}, act: true},
	"GET /api/v1/wipe-policy":             {what: "What this site wants of wipes, and who decided it.", out: store.KeptPolicy{}},
	"POST /api/v1/wipe-policy":            {what: "Changes that, under the next version. Its own version is the one that was read: another by now is refused; 0 is not compared.", in: wipe.Policy{}, out: store.KeptPolicy{}, act: true},
	"GET /api/v1/devices/{ref}/drives":    {what: "The drives that are, or were, in a device, with what is on record about each.", out: []store.DriveView{}},
	"POST /api/v1/drives/destroyed":       {what: "Records the end of a drive that was not wiped.", in: store.Destruction{}, out: store.EvidenceView{}, act: true},
	"POST /api/v1/devices/{ref}/ready":    {what: "Sends a device into the pool, all of whose drives have their records.", in: store.Disposal{}, out: store.DeviceView{}, act: true},
	"POST /api/v1/devices/{ref}/dispose":  {what: "Sends such a device out of the house.", in: store.Disposal{}, out: store.DeviceView{}, act: true},
	"GET /api/v1/certificates":            {what: "The records of wiped and destroyed drives, newest first.", out: []store.EvidenceView{}, query: ofRecords},
	"GET /api/v1/certificates/key":        {what: "The public key by which everybody verifies them.", out: CertificateKeyView{}},
	"GET /api/v1/certificates/check":      {what: "Proves the whole chain of records.", out: cert.Chain{}},
	"GET /api/v1/certificates/{id}":       {what: "One record with its signed bytes.", out: store.EvidenceView{}},
	"GET /api/v1/certificates/{id}/file":  {what: "The signed file of one record.", out: cert.Signed{}},
	"GET /api/v1/certificates/{id}/paper": {what: "A picture of it for printing.", kind: "application/pdf"},
	"GET /api/v1/certificates/export": {what: "Records for a disposition vendor.", kind: "application/octet-stream",
		query: append(slices.Clone(ofRecords), parameter{"format", "json, which it is when left out, csv or zip. One answer holds at most 5000 records, a zip 300."})},
}
