// Package web is what operators talk to: the JSON API under /api/v1, over which the command line speaks too.
//
// The idea: every act carries the operator who did it, and every failure is a job.Fault in words. Long acts
// (importing, checking, watching a job) answer with NDJSON: one JSON object a line, progress first, and as the
// last line either the outcome or a refusal. A stream that ends without its last line did not succeed.
//
//	GET  /api/v1/openapi.json               the API for programs: each route with its right and its schemas (openapi.go)
//	GET  /api/v1/version
//	GET  /api/v1/daemon                     Status: what answers, where, with which key
//	GET  /api/v1/images                     images with their versions
//	POST /api/v1/images/import              store.Import -> Line[store.Imported]...
//	POST /api/v1/images/export              store.Export -> Line[store.Exported]... (either may bring the open file: WithFile)
//	POST /api/v1/images/check?read-data=1&percent=10&heal=1   -> Line[store.Checked]...
//	POST /api/v1/images/gc                  store.Sweep -> Line[store.Swept]...
//	GET  /api/v1/images/keeping             store.Keeping: how far the scrub is, and what is in quarantine
//	GET  /api/v1/images/{ref}/content       store.Inside: what is installed in a version
//	GET  /api/v1/images/{ref}/software      the same as a CycloneDX bill of materials
//	POST /api/v1/images/{ref}/look          looks inside once more -> Line[store.Inside]...
//	POST /api/v1/images/{ref}/note          store.Note: the change note of a draft -> store.Version
//	GET  /api/v1/images/diff?a=&b=          -> Line[store.Difference]...
//	GET  /api/v1/images/{image}/history     store.ImageView: what was done with an image's versions, when, by whom
//	GET  /api/v1/images/{ref}/devices       store.Recipient...: who received a version
//	POST /api/v1/images/release             store.VersionOrder -> store.Version; likewise retire, withdraw, rollback, delete
//	POST /api/v1/images/cadence             store.VersionOrder -> store.Image
//	POST /api/v1/images/bundle/export       store.BundleExport -> Line[store.Bundled]... (may bring the open file)
//	POST /api/v1/images/bundle/import       store.BundleImport -> Line[store.Imported]... (may bring the open file)
//	POST /api/v1/images/push                store.Transfer -> Line[store.Transferred]...
//	POST /api/v1/images/pull                store.Transfer -> Line[store.Imported]...
//	GET  /api/v1/image-keys                 store.ImageKeys   DELETE /api/v1/image-keys/{fingerprint}
//	GET  /api/v1/peers                      POST /api/v1/peers           store.PeerAdd -> store.PeerView
//	POST /api/v1/peers/allow                store.PeerAllow -> store.PeerToken   DELETE /api/v1/peers/{name}
//	POST /api/v1/backup                     store.ServerBackup -> the file, and a Line[store.ServerBackedUp] as trailer (backup.go)
//	GET  /api/v1/push                       store.PushStatus: asset registers and webhooks, and what waits for them
//	POST /api/v1/push/targets               store.PushNew -> store.PushMade; a webhook's secret is told this once
//	POST /api/v1/push/targets/{name}/test   -> store.PushTested   POST .../secret: another one -> store.PushMade
//	DELETE /api/v1/push/targets/{name}      POST /api/v1/push/retry   store.PushRetry -> store.PushRetried
//	GET  /api/v1/push/devices.csv           every device, for registers and spreadsheets
//	GET  /api/v1/devices                    POST /api/v1/devices/adopt   store.Adoption
//	GET  /api/v1/devices/{ref}              by id, Name, serial or shown code
//	POST /api/v1/devices/{ref}/settle       store.Settlement: ends a quarantine
//	POST /api/v1/devices/{ref}/set          store.Correction: serial, asset tag, owner, note
//	POST /api/v1/devices/{ref}/lost         store.Loss: tell, note
//	POST /api/v1/devices/{ref}/return       store.Return: from, note, found
//	POST /api/v1/devices/import             store.List -> store.Listed: all lines of a supplier's list, or none
//	GET  /api/v1/roles                      POST /api/v1/roles           store.Role
//	POST /api/v1/deploys                    store.Order -> store.JobView
//	POST /api/v1/renames                    store.Rename -> store.JobView
//	GET  /api/v1/jobs?all=1                 GET /api/v1/jobs/{id}
//	GET  /api/v1/jobs/{id}/watch            -> Line[store.JobView]..., to the job's end
//	POST /api/v1/jobs/{id}/cancel           ?untouched=1: only while nothing was written, else E660
//	GET  /api/v1/boots?mac=                 timelines with their cause; MAC, or whatever names a device
//	GET  /api/v1/board                      store.Board: what the bench page shows
//	POST /api/v1/scan                       Scan -> Scanned: one label before the scanner
//	GET  /api/v1/bench                      POST /api/v1/bench           store.Bench
//	GET  /api/v1/auto-deploy                POST /api/v1/auto-deploy     store.AutoDeploy
//	GET  /api/v1/bundles                    what still refers to each boot bundle: store.BundleUse
//	GET  /api/v1/me                         Me: who asks, and what he may do
//	GET  /api/v1/operators                  POST /api/v1/operators       store.OperatorAdd -> store.OperatorLink, shown once
//	POST /api/v1/operators/{name}           store.OperatorSet -> store.OperatorView
//	POST /api/v1/operators/{name}/link      -> store.OperatorLink; POST /api/v1/operator-link: the first administrator's
//	GET  /api/v1/tokens                     POST /api/v1/tokens          store.TokenAdd -> store.TokenMade, shown once   DELETE /api/v1/tokens/{name}
//	GET  /api/v1/access-policy              POST /api/v1/access-policy   PolicySet
//	GET  /api/v1/notices                    POST /api/v1/notices/{number}/seen
//	GET  /api/v1/audit?subject=&limit=
//	GET  /api/v1/audit/chain                proves every event -> store.Chain
//	POST /api/v1/audit/verify               report.Against -> report.AuditVerified: the chain, held against receipts
//	GET  /api/v1/reports                    which reports there are
//	GET  /api/v1/reports/{name}?version=&ever=1&device=&since=&until=&format=csv&bom=1   -> report.Report, or CSV
//	GET  /api/v1/licences/entitlements      POST, DELETE .../{product}   store.Entitlement
//	GET  /api/v1/licences/rules             POST report.NewRule, DELETE .../{id}   which software belongs to which product
//	POST /api/v1/licences/import            store.List -> store.Listed
//	GET  /api/v1/deployments/{id}/receipt   report.SignedReceipt; receipt.json and receipt.pdf are files
//	POST /api/v1/receipts/pdf               a receipt's file, as this server issued it -> its PDF
//	POST /api/v1/receipts/verify?key=       a receipt's file -> report.Finding
//	GET  /api/v1/labels                     POST /api/v1/labels          store.Labels
//	POST /api/v1/labels/print               report.LabelOrder -> report.Sent; GET /api/v1/labels.zpl?device=&copies= as a file
//
// Two people may act at once, and an answer may be lost. So an act on a device takes two headers. Idempotency-Key is an
// id that the sender made (8 to 64 letters, digits, hyphens): for a day the same id with the same body is answered with
// the same job or device and nothing is done twice; with another body it is refused. An act that was refused did nothing
// and may be sent again. If-Match carries the "revision" of the device as the sender saw it: when something happened to
// the device since, the act is refused (E660, status 409) with what, when and by whom. Both are optional, and hold for
// POST of devices/adopt, devices/{ref}/settle, set, lost and return, of deploys and renames.
//
// The pages (page.go, pages_*.go, template/, static/) are made by the server and work without a script: each act is a form,
// which carries both of these hidden, as "key" and "revision". It is answered with a way to the next page (303), or with the
// page that it stands on, the fault in words and what belongs to it as it is now. What somebody may not do is not shown to
// him. The script adds what a form cannot: the board that follows the laptops (GET /live, see live.go), scans one after
// another, keys. It puts text in place, never markup. One table says which pages there are (areas, pagesOf in page.go); a
// link to a page that no route answers is left out.
//
// The words of the board are those of the laptop's screen: both come from job.Look.
//
// Who the operator is and what he may do (Actor), the listener decides: on the unix socket it is the user at the other
// end (SO_PEERCRED), with all rights. Over the network Site is the listener's handler: there it is who shows a session's
// cookie or a token (web/access), and whoever shows nothing gets only what is registered as open. Each route names the right that it needs (route.go); pages are made in page.go.
package web
