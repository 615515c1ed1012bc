package library

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
)

// Bounds of what other servers may do at once.
const (
	peerSlots  = 8
	maxPushes  = 4
	pushIdle   = 10 * time.Minute
	peerPause  = time.Minute // between two bytes of a body
	maxRefused = 5           // log lines at once about strangers; then one in ten seconds
)

type peerKey struct{}

// BesidePeers answers other servers under PeerPath and leaves all else to next. While no peer is allowed there is
// nothing under that path.
func (l *Library) BesidePeers(next http.Handler) http.Handler {
	mux, slots := l.peerRoutes(), make(chan struct{}, peerSlots)
	refused := rate.NewLimiter(rate.Every(10*time.Second), maxRefused)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, PeerPath) {
			next.ServeHTTP(w, r)
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			answer(w, nil, job.Faultf(job.CodeBusy, "Too many servers ask at once."))
			return
		}
		p, open, err := l.peerOf(r)
		switch {
		case err == nil && !open:
			next.ServeHTTP(w, r) // which knows nothing there
		case err != nil:
			if refused.Allow() {
				l.Log.Warn().Str("from", r.RemoteAddr).Str("reason", job.Reason(err)).Msg("a server that asked for images was refused")
			}
			answer(w, nil, err)
		case path.Clean(r.URL.EscapedPath()) != r.URL.EscapedPath():
			answer(w, nil, job.Faultf(job.CodeNotFound, "%.100q.", r.URL.Path))
		default:
			http.StripPrefix(strings.TrimSuffix(PeerPath, "/"), mux).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerKey{}, p)))
		}
	})
}

// peerOf finds who asks by the secret that is shown; open is false while nobody is allowed at all.
func (l *Library) peerOf(r *http.Request) (p store.Peer, open bool, err error) {
	secret, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	found := false
	err = l.DB.View(func(tx *store.Tx) error {
		all, err := tx.Peers()
		if err != nil {
			return err
		}
		for _, x := range all {
			open = open || x.Hash != ""
		}
		if bearer && len(secret) <= 64 {
			p, found, err = tx.PeerOf(secret)
		}
		return err
	})
	if err == nil && open && !found {
		err = job.Faultf(job.CodePeerRefused, "")
	}
	return p, open, err
}

func (l *Library) peerRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hello", func(w http.ResponseWriter, r *http.Request) {
		out, err := l.greet(r)
		answer(w, out, err)
	})
	mux.HandleFunc("GET /versions", greeted(func(w http.ResponseWriter, r *http.Request, _ store.Peer) {
		_, s, err := l.portable(r.URL.Query().Get("ref"))
		s.Origin = nil
		answer(w, offer{Signed: s}, err)
	}))
	mux.HandleFunc("GET /v1/manifests/{digest}", greeted(l.shared(l.Store.ManifestHandler())))
	mux.HandleFunc("GET /v1/chunks/{digest}", greeted(l.shared(l.Store.StreamHandler())))
	mux.HandleFunc("POST /v1/digests", greeted(func(w http.ResponseWriter, r *http.Request, _ store.Peer) {
		l.Store.DigestHandler().ServeHTTP(w, patientBody(w, r))
	}))
	l.pushRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, job.Faultf(job.CodeNotFound, "%.10s %.100q.", r.Method, r.URL.Path))
	})
	return mux
}

// greeted lets only a peer ask that has shown its key.
func greeted(f func(http.ResponseWriter, *http.Request, store.Peer)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, _ := r.Context().Value(peerKey{}).(store.Peer)
		if len(p.Key) == 0 {
			answer(w, nil, job.Faultf(job.CodePeerRefused, "It has not said hello."))
			return
		}
		f(w, r, p)
	}
}

// greet binds the token to the first key that is shown with it.
func (l *Library) greet(r *http.Request) (helloReply, error) {
	p, _ := r.Context().Value(peerKey{}).(store.Peer)
	var h helloRequest
	if err := readJSON(r.Body, &h); err != nil {
		return helloReply{}, job.Faultf(job.CodeBadRequest, "%s.", job.Reason(err))
	}
	if h.Protocol != peerProtocol {
		return helloReply{}, job.Faultf(job.CodePeerAnswer, "It speaks protocol %d, this server %d.", h.Protocol, peerProtocol)
	}
	pin, err := sign.Open(h.Key, peerPurpose, h.Envelope)
	if err != nil || string(pin) != l.Pin {
		return helloReply{}, errors.Join(err, job.Faultf(job.CodePeerRefused, "It does not hold the key that it shows."))
	}
	var out helloReply
	return out, l.DB.Update(func(tx *store.Tx) error {
		out = helloReply{Protocol: peerProtocol, Key: tx.OwnKey()}
		if err := tx.BindPeer(p.Name, h.Key); err != nil {
			return err
		}
		return tx.Audit("peer "+p.Name, "peer hello", p.Name, "")
	})
}

// shared lets a peer read only manifests and chunks of versions that may travel.
func (l *Library) shared(next http.Handler) func(http.ResponseWriter, *http.Request, store.Peer) {
	return func(w http.ResponseWriter, r *http.Request, _ store.Peer) {
		d, err := imaging.ParseDigest(r.PathValue("digest"))
		if err == nil {
			err = l.DB.View(func(tx *store.Tx) error {
				all, err := tx.Versions("")
				for _, v := range all {
					if v.Manifest == d && mayTravel(v) == nil {
						return nil
					}
				}
				return errors.Join(err, job.Faultf(job.CodeNotFound, "Manifest %s.", d.Short()))
			})
		} else {
			err = job.Faultf(job.CodeNotFound, "That is not a digest.")
		}
		if err != nil {
			answer(w, nil, err)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// mayTravel says why a version stays on its server: nothing of a laptop's own data goes anywhere else, and nothing that
// may never be deployed again.
func mayTravel(v store.Version) error {
	switch {
	case v.Kind == store.Backup:
		return job.Faultf(job.CodePolicy, "%s is a backup: it goes back onto its own laptop and nowhere else.", v.Ref())
	case v.State == store.Withdrawn:
		return job.Faultf(job.CodeWithdrawn, "%s was withdrawn.", v.Ref())
	case v.Deleted:
		return job.Faultf(job.CodeWithdrawn, "The content of %s was given up.", v.Ref())
	}
	return nil
}

// patientBody gives each read of a body its own deadline, so that a server that died does not hold a request for ever.
func patientBody(w http.ResponseWriter, r *http.Request) *http.Request {
	out := *r
	out.Body = &patientReader{body: r.Body, rc: http.NewResponseController(w)}
	return &out
}
