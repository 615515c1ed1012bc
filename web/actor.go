package web

import (
	"context"
	"net/http"
	"slices"

	"ingot/store"
)

// Actor is who asks: the name that goes into the record with every act, and what it may do.
type Actor struct {
	Name  string
	Right store.Right

	Session string   // id of the session behind a browser; empty for others
	Token   string   // name of the token behind a program; empty for others
	Only    []string // areas that a token may ask for; empty: all
}

// AtServer reports whether it is a user of the server itself, known by its kernel.
func (a Actor) AtServer() bool { return a.Name != "" && a.Session == "" && a.Token == "" }

// May reports whether a route's area is within the scope.
func (a Actor) May(area string) bool { return len(a.Only) == 0 || slices.Contains(a.Only, area) }

type actorKey struct{}

// WithActor puts who asks into a request's context; the listener calls it, which knows.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf is who asks; the zero Actor, which may do nothing, when nobody said.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

func operatorOf(r *http.Request) string { return ActorOf(r.Context()).Name }
