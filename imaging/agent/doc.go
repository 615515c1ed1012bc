// Package agent is the work of the laptop's side, in order, as a list that reads like a script.
//
// The idea: the agent decides nothing that a person did not decide. It tells the daemon who the laptop is,
// shows a code, and waits; it obeys a job only when signature, key, time, device and drive all hold; and it
// reports each state and has it acknowledged before it acts.
//
// Everything that touches the laptop is an interface in house.go, so the same list runs against a file and a
// real daemon in a test. cmd/ingot-agent supplies the real things.
package agent
