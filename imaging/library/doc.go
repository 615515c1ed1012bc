// Package library is the shelf of golden images: disk files become Versions, Versions become disk files, and
// everything on the shelf can be checked.
//
// The idea: chunkstore holds bytes and knows no names; store holds names and no bytes. A Version is recorded
// only after its manifest and every chunk of it are durable, so a killed import leaves chunks that the next
// one finds again, and never a Version without its content.
package library
