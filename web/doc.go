// Package web is what operators talk to: the JSON API under /api/v1, over which the command line speaks too.
//
// The idea: every act carries the operator who did it, and every failure is a job.Fault in words. Long acts
// (importing, checking, watching a job) answer with NDJSON: one JSON object a line, progress first, and as the
// last line either the outcome or a refusal. A stream that ends without its last line did not succeed.
//
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
//	GET  /api/v1/bench                      POST /api/v1/bench           store.Bench
//	GET  /api/v1/auto-deploy                POST /api/v1/auto-deploy     store.AutoDeploy
//	GET  /api/v1/bundles                    what still refers to each boot bundle: store.BundleUse
//	GET  /api/v1/audit?subject=&limit=
//	GET  /api/v1/audit/chain                proves every event -> store.Chain
//
// Two people may act at once, and an answer may be lost. So an act on a device takes two headers. Idempotency-Key is an
// id that the sender made (8 to 64 letters, digits, hyphens): for a day the same id with the same body is answered with
// the same job or device and nothing is done twice; with another body it is refused. An act that was refused did nothing
// and may be sent again. If-Match carries the "revision" of the device as the sender saw it: when something happened to
// the device since, the act is refused (E660, status 409) with what, when and by whom. Both are optional, and hold for
// POST of devices/adopt, devices/{ref}/settle, set, lost and return, of deploys and renames.
//
// Who the operator is and what he may do (Actor), the listener decides: on the unix socket it is the user at the other
// end (SO_PEERCRED), with all rights. Each route names the right that it needs (route.go). There are no pages
// yet, only the frame in which they will stand (page.go).
package web
