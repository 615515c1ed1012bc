// Package access decides who may use the pages and the API over the network: operators and their passwords, sessions,
// one-time links, OpenID Connect and tokens of programs.
//
// The idea: everything that somebody shows (a password, a cookie, a link, a token) is turned here into a Grant, a name
// with a right, or into nothing. The records lie in package store, secrets as hashes only. What the handlers of package
// web do with a Grant is not decided here.
//
//	password --SignIn-->  cookie --Session--> Grant
//	provider --Finish-->  cookie
//	link     --UseLink--> password
//	token    --Token----------------------->  Grant
//
// # Why
//
// Passwords are hashed by argon2id (RFC 9106) with 32 MiB each. A flood of sign-ins would be a flood of memory, so one
// is computed at a time, few may wait, and the others are asked to come back. An attempt is counted before its password
// is looked at, and a name that does not exist is treated in all as one that does: in time, in words and in its lock.
//
// A cookie is 256 bits of chance, made anew at each sign-in; one that a browser brings from elsewhere is never taken
// over. When a session ends, by whoever, the requests that it has open (the board's stream of events) end with it.
//
// There are no passwords in the configuration and no default ones. The first administrator is made by a link that is
// printed on the server while there is no operator. Whoever may speak over the server's unix socket can make a link for
// any operator; that is recorded, and stands on the board until somebody there has seen it.
package access
