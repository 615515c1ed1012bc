package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"sync"
)

//go:embed static
var staticFiles embed.FS

// assets are the style, the script and the icons, with a name that changes when they do.
var assets = sync.OnceValue(func() map[string]asset {
	all := map[string]asset{}
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		panic("web: " + err.Error()) // they are part of the program
	}
	for _, e := range entries {
		b, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			panic("web: " + err.Error())
		}
		sum := sha256.Sum256(b)
		all[e.Name()] = asset{bytes: b, version: hex.EncodeToString(sum[:6])}
	}
	return all
})

type asset struct {
	bytes   []byte
	version string
}

// assetPath is where a page finds one of them.
func assetPath(name string) string { return "/static/" + name + "?v=" + assets()[name].version }

// Static serves style, script and icons: the only thing besides the sign-in page that a stranger gets of the pages.
func Static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		f, ok := assets()[name]
		if !ok || r.URL.Path != "/static/"+name {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if w.Header().Set("Cache-Control", "no-cache"); r.URL.Query().Get("v") == f.version {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		w.Write(f.bytes) // fails only when the asker has gone
	})
}

func (a *API) staticRoutes(rs *routes) {
	rs.open("GET /static/{file}", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := assets()[r.PathValue("file")]; !ok {
			a.notHere(w, r)
			return
		}
		Static().ServeHTTP(w, r)
	})
}
