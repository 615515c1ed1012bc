package deploy

import (
	"context"
	"net/http"
	"strconv"

	"ingot/imaging/job"
)

// wipeRoutes are the paths of a wipe.
func (s *Service) wipeRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/jobs/{id}/journal", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		serveBody(w, r, func(ctx context.Context, in job.DriveJournal) (job.Ack, error) {
			return s.KeepJournal(ctx, key, job.ID(r.PathValue("id")), in)
		})
	}))
	mux.HandleFunc("GET /v1/jobs/{id}/journal/{drive}", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		drive, err := strconv.Atoi(r.PathValue("drive"))
		if err != nil {
			reply(w, nil, job.Faultf(job.CodeBadRequest, "A drive of a wipe has a number."))
			return
		}
		out, err := s.Journal(r.Context(), key, job.ID(r.PathValue("id")), drive)
		reply(w, out, err)
	}))
	mux.HandleFunc("POST /v1/jobs/{id}/drive", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		serveBody(w, r, func(ctx context.Context, in job.DriveReport) (job.DriveAck, error) {
			return s.Wiped(ctx, key, job.ID(r.PathValue("id")), in)
		})
	}))
}
