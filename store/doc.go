// Package store is what Ingot remembers: one bbolt file, one bucket a record, index buckets beside them.
//
// The idea: one fact is one transaction. A laptop that gets its name, a job that ends, a deployment that is
// proven: each is written whole, with its audit event, or not at all. Callers compose a fact from the methods
// of Tx inside one Update; nothing outside this package knows that the records lie in bbolt.
//
// Every value is a small JSON envelope {"v": version, "sum": checksum, "data": record}. The checksum covers the
// bucket's and the key's name too, so that a value which was damaged, or which stands under another key, is
// an error and never a record.
//
//	ingot.db
//	├── meta
//	│   ├── schema                     decimal number of the schema (Schema)
//	│   └── stranger                   when somebody last tried to sign in by a name that is not known
//	├── audit                          8-byte big-endian number -> Event; append-only, each holds the hash of the one before
//	├── devices                        device id -> Device
//	├── device-by-fact                 kind NUL value NUL device id -> device id: by what a laptop is known again (FactKind);
//	│                                  serial and uuid have one holder each, adapter, drive and wire may have several
//	├── shared-facts                   kind NUL value -> Shared: told by several laptops, so it leads to no record; kept for ever
//	├── device-by-name                 Name in lower case -> device id: the reservation of the Name
//	├── images                         image name -> Image
//	├── versions                       image name NUL 4-byte big-endian number -> Version
//	├── contents                       version key -> Content: what is installed in it
//	├── roles                          role name -> Role
//	├── jobs                           job id -> Job
//	├── job-active                     device id -> job id of the one job that has not ended
//	├── deployments                    deployment id -> Deployment
//	├── deployment-by-device           device id NUL 8-byte big-endian unix nanoseconds -> deployment id
//	├── agents                         key id -> Agent: one boot of a laptop that said Hello
//	├── tokens                         token -> BootToken
//	├── token-by-machine               machine key -> token
//	├── boots                          MAC -> BootLog: what one machine did on its way, newest last
//	├── guards                         machine key -> Guard: the loop guard's memory
//	├── leases                         IP address -> Lease
//	├── sequences                      name pattern -> last number given
//	├── requests                       request id -> Request: acts that were done, for a day
//	├── settings                       "bench" -> Bench, "auto-deploy" -> AutoDeploy, "scrub" -> Scrub, "wipe-policy" -> KeptPolicy, "server-backup" -> LastServerBackup, "signed-since" -> time from which each Version is signed,
//	│                                  "access" -> AccessPolicy, "licence-rules" -> the LicenceRules in their order, "labels" -> Labels
//	├── tallies                        bucket -> how many records it holds, and the exclusive or of their sums
//	├── statements                     image name NUL 4-byte big-endian number -> Signed: what this server signed about the Version
//	├── trusted-keys                   fingerprint -> TrustedKey: another server whose signed versions are taken
//	├── peers                          name -> Peer: another server that may ask here, or that is asked from here
//	├── drives                         serial NUL model (NUL more, where two tell the same) -> Drive: which device it is in, what it owes
//	├── drive-by-device                device id NUL drive key -> drive key: every drive that is, or ever was, in the device
//	├── certificates                   8-byte big-endian number -> Evidence: a Certificate or Destruction record as it was signed; append-only
//	├── certificate-by-id              id of the record (W-000017, D-000018) -> its number
//	├── certificate-by-drive           drive key NUL 8-byte big-endian number -> its number
//	├── operators                      name in lower case -> Operator: who may sign in at the pages
//	├── sessions                       hash of the browser's secret -> Session
//	├── operator-links                 hash of the link's secret -> Link: sets one operator's password, once
//	├── api-tokens                     token name -> APIToken: a program that acts in an operator's name
//	├── notices                        8-byte big-endian number -> Notice: what everybody at the board must see
//	├── push-targets                   name -> PushTarget: an asset register or a receiver of webhooks, with its secrets
//	├── push-stands                    target name -> PushStand: up to which audit event it has read, and how it goes
//	├── outbox                         target name NUL key -> OutItem: waits to be sent; the key is a device's id or an event's number
//	├── dead-letters                   likewise -> OutItem: was given up, until a person or a newer event starts it again
//	├── registered                     target name NUL device id -> Registered: what a register said about the device
//	└── entitlements                   product in lower case -> Entitlement: on how many devices it may be
//
// Schema 2 put device-by-fact and shared-facts in the place of device-by-serial and device-by-uuid of schema 1. Schema 3
// lets an Image say which of its versions is current. Schema 4 has the buckets of operators, registers and licences, and
// versions with manifests of version 2. A change that an older database does not fit raises Schema, adds a
// step to migrations and changes this comment in one commit; a new bucket, and a field whose zero value says the truth,
// need neither. Open refuses a newer schema, and copies the file before it migrates an older one.
package store
