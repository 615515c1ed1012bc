package web

import (
	"net/http"
	"time"
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

func (a *API) statusRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/daemon", func(w http.ResponseWriter, r *http.Request) {
		s := a.Status
		s.Version, s.Interfaces = a.Version, list(s.Interfaces)
		a.reply(w, s, nil)
	})
}
