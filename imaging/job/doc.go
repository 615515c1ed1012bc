// Package job is the protocol between the daemon and the agent: pure types, their bounds and the version.
//
// The idea: the agent is a stranger until a person approves the code that its screen shows. From then on its
// key, made anew at each boot, is bound to one job. Everything that the agent must obey comes as a signed
// Job; everything that it did comes back as Events, each durable at the daemon and acknowledged before the
// agent acts on it.
//
//	GET  /v1/boot?kernel=              BootInfo: the daemon's time and the digest of the stage 2 for that kernel (pinned TLS, no client key needed)
//	POST /v1/boot                      BootRequest -> BootReply: a boot token for a laptop that a stick started, or why it gets none
//	GET  /v1/stage2/{sha256}           the stage 2 archive (cpio.zst); Range is answered
//	POST /v1/hello                     Hello -> HelloReply: the code to show, the key that signs jobs
//	GET  /v1/next                      Next, held open for at most 25 s: wait, a signed Job, or "leave"
//	POST /v1/jobs/{id}/state           StateEvent -> Ack, before the agent acts on the state
//	POST /v1/jobs/{id}/progress        Progress -> Ack (carries the wish to cancel)
//	GET  /v1/jobs/{id}/personal        Personal: what only the verified disk may receive, to the bound key; each answer ends the secret before it
//	POST /v1/jobs/{id}/journal         wipe: DriveJournal -> Ack, before that drive gets a command that destroys
//	GET  /v1/jobs/{id}/journal/{drive} wipe: the DriveJournal that an earlier start kept
//	POST /v1/jobs/{id}/drive           wipe: DriveReport -> DriveAck: the drive's certificate, or why there is none
//	POST /v1/jobs/{id}/want            capture: digests -> a bitmap of those that the library lacks (package chunkstore)
//	POST /v1/jobs/{id}/chunks          capture: a stream of chunks (package chunkstore); 204 when all were taken
//	POST /v1/jobs/{id}/manifest        capture: the manifest's bytes -> Recorded: the Version, or what is missing
//	POST /v1/jobs/{id}/result          Result -> Ack, repeated until acknowledged
//	GET  /v1/manifests/{digest}        the manifest's bytes; Range is answered
//	GET  /v1/chunks/{digest}?extents=  the chunk stream (package chunkstore)
//	POST /v1/callhome                  CallHome, from the deployed OS's first boot (no client key)
//
// Transport: TLS 1.3, HTTP/1.1. The agent pins the SHA-256 of the server certificate's SubjectPublicKeyInfo
// and ignores names and dates, since a laptop's clock may be anywhere. The agent's own key is the key of a
// self-signed client certificate; its id is the SHA-256 of that SubjectPublicKeyInfo (KeyID), so possession is
// proven by every handshake. Bodies are JSON, at most MaxBody bytes, except those of want, chunks and manifest. A
// failure answers with a Refusal.
//
// Version 5. An agent and a daemon of different versions refuse each other in words. 1 knew no sticks and no renames;
// since 2 the Hello tells power, keys, health and what lies on the drives, a Job carries what its image needs, and
// what the laptop found before its first write is a part of the record; 3 knows captures; 4 cuts chunks as manifest
// version 2 wants; 5 wipes.
package job
