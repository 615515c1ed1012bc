// Package pinned is the TLS of the agent's side outside of package job/client: it accepts one key and looks at
// nothing else of a certificate, since a laptop's clock may be anywhere and its daemon has no name.
package pinned

import (
	"crypto/tls"
	"errors"

	"ingot/imaging/job"
	"ingot/imaging/sign"
)

// ErrOtherKey says that a machine answered which does not hold the daemon's key.
var ErrOtherKey = errors.New("another key answered than the daemon's")

// Config accepts only a server whose SubjectPublicKeyInfo has the pin.
func Config(pin job.KeyID) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // names and dates; the key is checked below
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 || sign.KeyID(cs.PeerCertificates[0].RawSubjectPublicKeyInfo) != string(pin) {
				return ErrOtherKey
			}
			return nil
		},
	}
}
