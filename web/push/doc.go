// Package push tells other systems what happens here: an asset register (Snipe-IT), receivers of webhooks, and whoever
// reads a CSV file. Ingot is not the asset register; it knows what lies on a laptop's drive and how that was proven.
//
// The idea: the audit chain is the outbox. Every target has a number up to which it has read the chain; what is behind
// it becomes items (store/outbox.go), and a worker of the target's own sends them. So nothing of this is in the way of
// imaging: no act waits for a register, a full outbox reads no further, and a daemon that is killed goes on where it was.
// Delivery is at least once, and both kinds of target are made for that: a message has the same id at every attempt, and
// a register is compared before it is written.
//
//	tick:     events behind the number -> items          (one short transaction for each target)
//	worker:   due items -> one attempt each -> sent | again later | dead letter
//
// A failure is of one of four kinds. hold: the target as a whole does not answer, refuses or asks to wait; nothing else
// is sent to it either until then. later: this item, again. never: this item is given up, until a person, a newer event
// or the daily round of a register starts it again. gone: the receiver wants no more (410); the target stops until a
// person starts it. Attempts are 5 s apart, then twice as long up to an hour, less a random part of half, and never
// sooner than Retry-After says. A message is given up after three days; a device never, as long as the register is what
// fails. A record that cannot be read here stops the reading for those targets that need it, and no other; it stands in
// their stand and on the board.
//
// # Webhooks
//
// As the convention Standard Webhooks has it: headers webhook-id, webhook-timestamp (seconds since 1970, of the attempt) and
// webhook-signature: "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body", one for each secret that counts, with
// a space between. The body is {"type": "device.done", "timestamp": ..., "data": {...}}; a type is what the event is
// about (device, version, server) and what was done.
//
// # Snipe-IT
//
// A device is found by its serial, and compared; only what differs is written, and after every write the asset is read
// again, since an answer of 200 may hold an error, and one of success may be untrue. The register wins for the asset tag
// and for who has the device: both are taken over into the device's record, with an audit event. Ingot wins for the
// serial, and for the columns that the administrator named. Who has a device is written there only where the
// administrator allows it, and only when the register has not changed since it was last read: by checking it in, and out.
// Only one register can be a target: two that know another tag or owner would be taken over in turn, for ever.
//
// # Addresses
//
// An administrator of the pages names a URL, and the daemon stands in a network that the administrator may not reach. So
// link-local and metadata addresses are never asked, the server itself only where ingot.toml allows it (push.allow), the
// address is judged after the name was looked up, no redirect is followed, and no proxy of the environment is used.
package push
