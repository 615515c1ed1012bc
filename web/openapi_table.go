package web

import (
	cdx "github.com/CycloneDX/cyclonedx-go"

	"ingot/store"
)

// described is what the document says about each route of the API: whoever adds a route adds its row here.
var described = []map[string]operation{ofServer, ofImages, ofExchange, ofDevices, ofJobs, ofSettings, ofAccess, ofPush, ofReports, ofBoard, ofWipes}

var ofServer = map[string]operation{
	"GET /api/v1/openapi.json": {what: "This document.", out: map[string]any{}},
	"GET /api/v1/version":      {what: "The version of the server.", out: map[string]string{}},
	"GET /api/v1/daemon":       {what: "What answers, where, with which key.", out: Status{}},
	"POST /api/v1/backup": {what: "A backup of the whole server, as one file under a passphrase. Its trailer Ingot-End says whether it is whole.",
		in: store.ServerBackup{}, kind: "application/octet-stream"},
	"GET /api/v1/bundles": {what: "What still refers to each boot bundle.", out: []store.BundleUse{}},
	"GET /api/v1/audit": {what: "The newest events of the audit trail, oldest first.", out: []store.Event{},
		query: []parameter{{"subject", "Of one device, job, image or role only."}, {"limit", "How many; 100 when it is left out, 10000 at most."}}},
	"GET /api/v1/audit/chain": {what: "Proves every event of the audit trail.", out: store.Chain{}},
}

var ofImages = map[string]operation{
	"GET /api/v1/images":                 {what: "Images with their versions.", out: []store.VersionView{}},
	"GET /api/v1/images/{image}/history": {what: "What was done with an image's versions, when, by whom.", out: store.ImageView{}},
	"GET /api/v1/images/{ref}/devices":   {what: "Who received a version.", out: []store.Recipient{}},
	"POST /api/v1/images/release":        {what: "Lets laptops receive a version.", in: store.VersionOrder{}, out: store.VersionView{}},
	"POST /api/v1/images/retire":         {what: "Ends the use of a version for new deployments.", in: store.VersionOrder{}, out: store.VersionView{}},
	"POST /api/v1/images/withdraw":       {what: "Forbids a version for good, also for orders that wait.", in: store.VersionOrder{}, out: store.VersionView{}},
	"POST /api/v1/images/rollback":       {what: "Makes an older version the current one.", in: store.VersionOrder{}, out: store.VersionView{}},
	"POST /api/v1/images/delete":         {what: "Gives up a version's content; the record stays.", in: store.VersionOrder{}, out: store.VersionView{}},
	"POST /api/v1/images/cadence":        {what: "Says how often an image is to be renewed.", in: store.VersionOrder{}, out: store.Image{}},
	"POST /api/v1/images/import":         {what: "Makes a version of a disk file on the server.", in: store.Import{}, steps: store.Work{}, out: store.Imported{}},
	"POST /api/v1/images/export":         {what: "Writes a version as a disk file on the server.", in: store.Export{}, steps: store.Work{}, out: store.Exported{}},
	"POST /api/v1/images/check": {what: "Proves records and image store.", steps: store.Work{}, out: store.Checked{},
		query: []parameter{{"read-data", "Anything: read every stored byte."}, {"percent", "1 to 100: of so many packs, chosen at random."}, {"heal", "Anything: fetch from other servers what is lost."}}},
	"POST /api/v1/images/gc":            {what: "Removes from the image store what nothing needs.", in: store.Sweep{}, steps: store.Work{}, out: store.Swept{}},
	"GET /api/v1/images/keeping":        {what: "How far the reading of all packs is, and what is locked away.", out: store.Keeping{}},
	"GET /api/v1/images/{ref}/content":  {what: "What is installed in a version.", out: store.Inside{}},
	"GET /api/v1/images/{ref}/software": {what: "The same as a CycloneDX bill of materials.", out: &cdx.BOM{}},
	"POST /api/v1/images/{ref}/look":    {what: "Looks inside a version once more.", steps: store.Work{}, out: store.Inside{}},
	"POST /api/v1/images/{ref}/note":    {what: "The change note of a draft.", in: store.Note{}, out: store.Version{}},
	"GET /api/v1/images/diff":           {what: "What differs between two versions.", steps: store.Work{}, out: store.Difference{}, query: []parameter{{"a", "The one version."}, {"b", "The other."}}},
}

var ofExchange = map[string]operation{
	"POST /api/v1/images/bundle/export": {what: "Writes a version as one signed file on the server.", in: store.BundleExport{}, steps: store.Work{}, out: store.Bundled{}},
	"POST /api/v1/images/bundle/import": {what: "Takes a version from such a file on the server.", in: store.BundleImport{}, steps: store.Work{}, out: store.Imported{}},
	"POST /api/v1/images/push":          {what: "Sends a version to another server.", in: store.Transfer{}, steps: store.Work{}, out: store.Transferred{}},
	"POST /api/v1/images/pull":          {what: "Fetches a version from another server.", in: store.Transfer{}, steps: store.Work{}, out: store.Imported{}},
	"GET /api/v1/image-keys":            {what: "This server's image key, and whose signed images are taken.", out: store.ImageKeys{}},
	"DELETE /api/v1/image-keys/{key}":   {what: "Takes images of that key no more.", out: struct{}{}},
	"GET /api/v1/peers":                 {what: "Other servers that may ask here or are asked from here.", out: []store.PeerView{}},
	"POST /api/v1/peers/allow":          {what: "Lets another server ask here; the token is shown once.", in: store.PeerAllow{}, out: store.PeerToken{}},
	"POST /api/v1/peers":                {what: "Makes another server known here.", in: store.PeerAdd{}, out: store.PeerView{}},
	"DELETE /api/v1/peers/{name}":       {what: "Forgets another server.", out: struct{}{}},
}

var ofDevices = map[string]operation{
	"GET /api/v1/devices":               {what: "All devices.", out: []store.DeviceView{}},
	"GET /api/v1/devices/{ref}":         {what: "One device, with what is on it and its last start.", out: store.DeviceView{}},
	"POST /api/v1/devices/{ref}/settle": {what: "Ends a quarantine.", in: store.Settlement{}, out: store.DeviceView{}, act: true},
	"POST /api/v1/devices/{ref}/set":    {what: "Corrects serial, asset tag, owner or note.", in: store.Correction{}, out: store.DeviceView{}, act: true},
	"POST /api/v1/devices/{ref}/lost":   {what: "Reports a device as lost.", in: store.Loss{}, out: store.DeviceView{}, act: true},
	"POST /api/v1/devices/{ref}/return": {what: "Takes a device back.", in: store.Return{}, out: store.DeviceView{}, act: true},
	"POST /api/v1/devices/adopt":        {what: "Adopts a laptop by the code on its screen.", in: store.Adoption{}, out: store.DeviceView{}, act: true},
	"POST /api/v1/devices/import":       {what: "Takes all lines of a supplier's list, or none.", in: store.List{}, out: store.Listed{}},
	"GET /api/v1/boots": {what: "Timelines of starts, each with its cause.", out: []store.BootLog{},
		query: []parameter{{"mac", "A MAC, or whatever names a device; all when it is left out."}}},
}

var ofJobs = map[string]operation{
	"POST /api/v1/deploys":          {what: "Orders an image for a device.", in: store.Order{}, out: store.JobView{}, act: true},
	"POST /api/v1/renames":          {what: "Orders another Name for a device in use.", in: store.Rename{}, out: store.JobView{}, act: true},
	"POST /api/v1/captures":         {what: "Orders a version, or a backup, of a device.", in: store.Capture{}, out: store.JobView{}, act: true},
	"GET /api/v1/jobs":              {what: "Jobs that have not ended, or all.", out: []store.JobView{}, query: []parameter{{"all", "Anything: also those that have ended."}}},
	"GET /api/v1/jobs/{id}":         {what: "One job.", out: store.JobView{}},
	"GET /api/v1/jobs/{id}/watch":   {what: "Follows a job to its end.", steps: store.JobView{}, out: store.JobView{}},
	"POST /api/v1/jobs/{id}/cancel": {what: "Stops a job.", out: store.JobView{}, query: []parameter{{"untouched", "Anything: only while nothing was written."}}},
}

var ofSettings = map[string]operation{
	"GET /api/v1/roles":        {what: "All roles.", out: []store.Role{}},
	"POST /api/v1/roles":       {what: "Makes or changes a role.", in: store.Role{}, out: store.Role{}},
	"GET /api/v1/bench":        {what: "Whether unknown machines may boot, and until when.", out: store.Bench{}},
	"POST /api/v1/bench":       {what: "Opens or closes the bench.", in: store.Bench{}, out: store.Bench{}},
	"GET /api/v1/auto-deploy":  {what: "Whether new laptops deploy themselves.", out: store.AutoDeploy{}},
	"POST /api/v1/auto-deploy": {what: "Turns that on for a role, a time and a count, or off.", in: store.AutoDeploy{}, out: store.AutoDeploy{}},
}

var ofPush = map[string]operation{
	"GET /api/v1/push":                        {what: "Asset registers and webhooks that are told what happens here, and what waits for them.", out: store.PushStatus{}},
	"POST /api/v1/push/retry":                 {what: "Sends again now what waits or was given up, and starts a target that was stopped.", in: store.PushRetry{}, out: store.PushRetried{}},
	"POST /api/v1/push/targets":               {what: "Makes a target or changes one; a webhook's secret is in this answer and never again.", in: store.PushNew{}, out: store.PushMade{}},
	"POST /api/v1/push/targets/{name}/test":   {what: "Asks a target once, and lists what a register has to choose from.", out: store.PushTested{}},
	"POST /api/v1/push/targets/{name}/secret": {what: "Gives a webhook a new secret; the old one signs beside it for a day.", out: store.PushMade{}},
	"DELETE /api/v1/push/targets/{name}":      {what: "Tells a target nothing any more, and forgets what waits for it.", out: struct{}{}},
	"GET /api/v1/push/devices.csv":            {what: "Every device as CSV.", kind: "text/csv; charset=utf-8"},
}
