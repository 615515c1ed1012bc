package library

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"ingot/imaging/job"
	"ingot/store"
)

// What servers say to each other, under PeerPath on the agent listener, over TLS 1.3 with a pinned key, each request
// with "Authorization: Bearer SECRET". The sides say which protocol they speak; a larger number is refused.
//
//	POST hello                     helloRequest -> helloReply: each learns by which key the other signs
//	GET  versions?ref=NAME@N       -> offer: what was signed about a version that may travel
//	GET  v1/manifests/{digest}     as an agent reads it, by ranges
//	GET  v1/chunks/{digest}?...    the chunk stream of package chunkstore
//	POST v1/digests                digests -> the chunk stream of those that are held here
//	POST pushes                    offer -> pushed: begins a push, or goes on with the one that was broken off
//	PUT  pushes/{id}/manifest      the manifest's bytes
//	GET  pushes/{id}/missing?from= -> missing: the next extents whose chunks are not held here
//	PUT  pushes/{id}/chunks        a chunk stream of extents
//	POST pushes/{id}/finish        -> finished: everything is proven and recorded as a draft, or a fault
const (
	PeerPath     = "/v1/peer/"
	peerProtocol = 1
	peerPurpose  = "peer" // of the signature in a hello
)

// helloRequest proves that the asker holds the key by which it signs: the envelope holds the pin of the server that is
// greeted, so that it is of no use anywhere else.
type helloRequest struct {
	Protocol int               `json:"protocol"`
	Key      ed25519.PublicKey `json:"key"`
	Envelope []byte            `json:"envelope"`
}

type helloReply struct {
	Protocol int               `json:"protocol"`
	Key      ed25519.PublicKey `json:"key"`
}

// offer is a version that one side has and the other may want.
type offer struct {
	Signed store.Signed `json:"signed"`
}

type pushed struct {
	ID       string `json:"id,omitempty"`
	Manifest bool   `json:"manifest,omitempty"` // it arrived before
	Held     string `json:"held,omitempty"`     // NAME@NUMBER: this content is there already, nothing is to be sent
}

type missing struct {
	Extents []uint64 `json:"extents"`
	Next    uint64   `json:"next"` // where to ask on; the number of extents when that was all
}

type finished struct {
	Ref   string     `json:"ref,omitempty"`
	Known bool       `json:"known,omitempty"`
	Fault *job.Fault `json:"fault,omitempty"`
}

// maxPeerJSON bounds a message in bytes; a list of missing extents is the largest.
const maxPeerJSON = 512 << 10

func readJSON(r io.Reader, into any) error {
	b, err := io.ReadAll(io.LimitReader(r, maxPeerJSON+1))
	if err != nil {
		return err
	}
	if len(b) > maxPeerJSON {
		return fmt.Errorf("a message of more than %d bytes", maxPeerJSON)
	}
	return json.Unmarshal(b, into)
}

func answer(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		json.NewEncoder(w).Encode(out) // fails only when the asker has gone
		return
	}
	f := job.FaultOf(err)
	w.WriteHeader(peerStatus(f.Code))
	json.NewEncoder(w).Encode(job.Refusal{Fault: *f})
}

func peerStatus(c job.Code) int {
	switch c {
	case job.CodeNotFound:
		return http.StatusNotFound
	case job.CodePeerRefused, job.CodePolicy, job.CodeUntrustedKey:
		return http.StatusForbidden
	case job.CodeBusy:
		return http.StatusTooManyRequests
	case job.CodeInternal, job.CodeFull, job.CodeDaemon:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}
