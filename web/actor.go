package web

import (
	"context"
	"net/http"

	"ingot/store"
)

// Actor is who asks: the name that goes into the record with every act, and what it may do.
type Actor struct {
	Name  string
	Right store.Right
}

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
