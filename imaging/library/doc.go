// Package library is the shelf of golden images: disk files become Versions, Versions become disk files, they travel as
// signed bundles and between servers, and everything on the shelf can be checked.
//
// The idea: chunkstore holds bytes and knows no names; store holds names and no bytes. A Version is recorded
// only after its manifest and every chunk of it are durable, so a killed import leaves chunks that the next
// one finds again, and never a Version without its content.
//
// What comes from elsewhere is taken in one order (bundlein.go, peerask.go, peerpush.go): the statement, by a key that
// is trusted; the manifest, by the digest that was signed; the chunks, by the digests in it; last the record, a draft
// that tells where it came from. peerproto.go lists what servers say to each other.
package library
