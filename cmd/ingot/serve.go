package main

import (
	"context"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// serve runs the parts until ctx ends or one fails; then all end.
func serve(ctx context.Context, log zerolog.Logger, parts ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range parts {
		g.Go(func() error { return p(ctx) })
	}
	err := g.Wait()
	log.Info().Msg("ingot has stopped")
	return err
}

// shutdownTime is how long open requests may take to end; streams are cut then and asked for again.
const shutdownTime = 3 * time.Second

// quiet takes what an HTTP server says about connections that went wrong: a stranger may cause as many of these
// lines as he likes, so they are for those who look for them.
type quiet struct{ zerolog.Logger }

// Write implements io.Writer.
func (q quiet) Write(b []byte) (int, error) {
	q.Debug().Msg(strings.TrimSpace(string(b)))
	return len(b), nil
}

// overHTTP serves one listener.
func overHTTP(log zerolog.Logger, l net.Listener, s *http.Server) func(context.Context) error {
	return func(ctx context.Context) error {
		s.ErrorLog = stdlog.New(quiet{log}, "", 0)
		s.BaseContext = func(net.Listener) context.Context { return ctx }
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(l) }() // ends by Shutdown or Close below
		select {
		case err := <-ended:
			return fmt.Errorf("serve %s: %w", l.Addr(), err)
		case <-ctx.Done():
		}
		late, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		if err := s.Shutdown(late); err != nil {
			s.Close()
		}
		<-ended
		if u, ok := l.Addr().(*net.UnixAddr); ok {
			os.Remove(u.Name) // Close of the listener removes it too; a socket that is gone already is no error
		}
		return nil
	}
}
