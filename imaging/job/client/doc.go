// Package client is the agent's side of the protocol in package job.
//
// The idea: the agent was told one thing that it can trust, the SHA-256 of the server's key, and it has one
// thing of its own, a key made at this boot. Everything else follows from the handshake: the server is the one
// whose key has that pin, whatever its name, its certificate's dates and the laptop's clock say; and the agent
// is whoever holds the ephemeral key, which an operator's approval then binds to one job.
//
// A call that did not reach the server is repeated with growing pauses until it did or ctx ends, since a cable
// pull or a daemon's restart must cost nothing but time. Every event of the protocol may be repeated: the
// daemon counts it once. A refusal in words is final and is returned as it is, a *job.Fault. So is a server
// with another key: that is not the network's weather.
package client
