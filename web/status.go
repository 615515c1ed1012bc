package web

import (
	"net/http"
	"time"

	"ingot/store"
)

// Status is what a daemon tells about itself. Serving is false when a command opened the data folder by itself: then
// no laptop is answered by anybody.
type Status struct {
	Version    string    `json:"version"`
	Serving    bool      `json:"serving"`
	Since      time.Time `json:"since"`
	Mode       string    `json:"mode"`       // proxy or dhcp
	Interfaces []string  `json:"interfaces"` // on which laptops are answered
	AgentPort  int       `json:"agent_port"`
	Pin        string    `json:"pin"` // of the agent listener's key
}

func (a *API) statusRoutes(rs *routes) {
	rs.handle("GET /api/v1/version", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		a.reply(w, map[string]string{"version": a.Version}, nil)
	})
	rs.handle("GET /api/v1/daemon", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		s := a.Status
		s.Version, s.Interfaces = a.Version, list(s.Interfaces)
		a.reply(w, s, nil)
	})
}
