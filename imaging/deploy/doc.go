// Package deploy is the daemon's side of a job: approve, assign, progress, cancel, record.
//
// The idea: two people talk to a Service. The operator approves a laptop by the code on its screen and orders a
// Version onto it. The agent, a stranger until then, asks what to do and reports every step before it acts on
// it. Between them stand rules that decide and records that remember:
//
//	power-on   Decide   may this machine boot our agent at all? Token names that boot
//	stick      Start    the same two questions, asked by the agent itself when a stick started the laptop
//	hello      Hello    which Device is this (two agreeing facts or one strong)? conflicts are quarantined
//	next       Next     wait, leave, off, or a Job signed for this key and this boot only
//	state      State    each step durable before its Ack; Invalidated is where the Device becomes deploying
//	personal   Personal the call-home secret, to the bound key, when the content is verified; only the newest holds
//	result     Result   with all its proof: one transaction writes Deployment, Device, Job and audit
//	capture    Want, Take, Record   what a drive holds comes in; one transaction makes the Version and ends the job
//	callhome   CallHome the OS reports the name that it uses
//
// Time is the daemon's own: steady, whoever sets the server's clock. When it was set, ClockSet moves with it what is
// counted in minutes and hours (the bench, auto-deploy, codes, boot tokens, guards, leases, the age of orders, signs
// of life); what says when something happened, and the 7 days of a call-home secret, are the wall clock's.
//
// A rename (rename.go) goes the same way; the device is deployed all the while, and holds both Names until it is known
// which one it carries. Every act of an operator may be stamped with an id, so that it has one effect, and with the
// revision that he saw (once.go). Where a device is, people say (whereabouts.go): a lost one gets no job and alarms. Who
// is left alone after nobody approved it, stands in alone.go.
//
// What decides is pure and stands in files of its own (identity.go, list.go, target.go, verdict.go, proof.go); what
// writes is one transaction each. Nothing is kept only in memory but progress and the time of the last
// request of each agent, so the daemon may be killed at any point.
package deploy
