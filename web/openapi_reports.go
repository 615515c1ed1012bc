package web

import (
	"ingot/store"
	"ingot/web/report"
)

// ofReports are the routes of what the record says: reports, licences, receipts, labels and the proof of the audit trail.
var ofReports = map[string]operation{
	"GET /api/v1/reports": {what: "The reports that there are, and what each asks.", out: []report.Kind{}},
	"GET /api/v1/reports/{name}": {what: "A report over the record.", out: report.Report{},
		query: []parameter{{"version", "NAME, NAME@VERSION or NAME@LABEL."}, {"ever", "Anything: all that ever received it."}, {"device", "By id, Name or serial."},
			{"since", "The first day, 2006-01-02."}, {"until", "The last day, 2006-01-02."}, {"format", "json, which it is when left out, or csv."}, {"bom", "Anything: csv with the mark that spreadsheets want."}}},
	"POST /api/v1/audit/verify":                      {what: "Proves the audit trail, and holds it against receipts.", in: report.Against{}, out: report.AuditVerified{}},
	"GET /api/v1/licences/entitlements":              {what: "On how many devices each product may be.", out: []store.Entitlement{}},
	"POST /api/v1/licences/entitlements":             {what: "Enters a product, or changes it.", in: store.Entitlement{}, out: store.Entitlement{}},
	"DELETE /api/v1/licences/entitlements/{product}": {what: "Forgets a product.", out: struct{}{}},
	"POST /api/v1/licences/import":                   {what: "Enters a list of products.", in: store.List{}, out: store.Listed{}},
	"GET /api/v1/licences/rules":                     {what: "Which software belongs to which product, in the order in which the rules are asked.", out: []store.LicenceRule{}},
	"POST /api/v1/licences/rules":                    {what: "Adds such a rule.", in: report.NewRule{}, out: store.LicenceRule{}},
	"DELETE /api/v1/licences/rules/{id}":             {what: "Removes a rule.", out: struct{}{}},
	"GET /api/v1/deployments/{id}/receipt":           {what: "The signed receipt of a deployment.", out: report.SignedReceipt{}},
	"GET /api/v1/deployments/{id}/receipt.json":      {what: "The same as the file to keep.", out: report.SignedReceipt{}},
	"GET /api/v1/deployments/{id}/receipt.pdf":       {what: "A picture of it with a QR code.", kind: "application/pdf"},
	"POST /api/v1/receipts/pdf":                      {what: "A picture of a receipt that this server has issued.", in: report.SignedReceipt{}, kind: "application/pdf"},
	"POST /api/v1/receipts/verify":                   {what: "Holds a receipt against the record and the audit trail.", in: report.SignedReceipt{}, out: report.Finding{}, query: []parameter{{"key", "Fingerprint of the key that may have signed it besides this server's."}}},
	"GET /api/v1/labels":                             {what: "What stands on a label, and which printer makes them.", out: store.Labels{}},
	"POST /api/v1/labels":                            {what: "Changes that.", in: store.Labels{}, out: store.Labels{}},
	"POST /api/v1/labels/print":                      {what: "Sends labels to the printer.", in: report.LabelOrder{}, out: report.Sent{}},
	"GET /api/v1/labels.zpl":                         {what: "Labels in the printer's language.", kind: "application/octet-stream", query: []parameter{{"device", "By id, Name or serial; repeated, or with commas."}, {"copies", "How many of each."}}},
}

// ofBoard are the routes that the bench page's script asks.
var ofBoard = map[string]operation{
	"GET /api/v1/board": {what: "What happens on the bench now.", out: store.Board{}},
	"POST /api/v1/scan": {what: "What was scanned: adopts, finds or starts a laptop.", in: Scan{}, out: Scanned{}},
}
