// Package deploy is the daemon's side of a job: approve, assign, progress, cancel, record.
//
// The idea: two people talk to a Service. The operator approves a laptop by the code on its screen and orders a
// Version onto it. The agent, a stranger until then, asks what to do and reports every step before it acts on
// it. Between them stand rules that decide and records that remember:
//
//	power-on   Decide   may this machine boot our agent at all? Token names that boot
//	hello      Hello    which Device is this (two agreeing facts or one strong)? conflicts are quarantined
//	next       Next     wait, leave, off, or a Job signed for this key and this boot only
//	state      State    each step durable before its Ack; Invalidated is where the Device becomes deploying
//	personal   Personal the call-home secret, to the bound key, when the content is verified; only the newest holds
//	result     Result   with all its proof: one transaction writes Deployment, Device, Job and audit
//	callhome   CallHome the OS reports the name that it uses
//
// What decides is pure and stands in files of its own (identity.go, list.go, target.go, verdict.go, proof.go); what
// writes is one transaction each. Nothing is kept only in memory but progress and the time of the last
// request of each agent, so the daemon may be killed at any point.
package deploy
