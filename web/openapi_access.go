package web

import "ingot/store"

// ofAccess are the routes of those who may come in. Links, rights and tokens are a person's affair: no program's token
// opens them, whatever its right.
var ofAccess = map[string]operation{
	"GET /api/v1/me":                     {what: "Who is asking, and what he may do.", out: Me{}},
	"GET /api/v1/operators":              {what: "Who may sign in at the pages.", out: []store.OperatorView{}},
	"POST /api/v1/operators":             {what: "Makes an operator; the link sets the password, once.", in: store.OperatorAdd{}, out: store.OperatorLink{}},
	"POST /api/v1/operators/{name}":      {what: "Changes an operator's right, or lets him in no more.", in: store.OperatorSet{}, out: store.OperatorView{}},
	"POST /api/v1/operators/{name}/link": {what: "A new link for an operator.", out: store.OperatorLink{}},
	"POST /api/v1/operator-link":         {what: "A link for the first administrator, or the only one.", out: store.OperatorLink{}},
	"GET /api/v1/access-policy":          {what: "What needs a second person.", out: store.AccessPolicy{}},
	"POST /api/v1/access-policy":         {what: "Changes that.", in: PolicySet{}, out: store.AccessPolicy{}},
	"GET /api/v1/notices":                {what: "What everybody at the board must see.", out: []store.Notice{}},
	"POST /api/v1/notices/{number}/seen": {what: "Takes a notice off the board.", out: struct{}{}},
	"GET /api/v1/tokens":                 {what: "Tokens of programs: one's own, or all as an administrator.", out: []store.TokenView{}},
	"POST /api/v1/tokens":                {what: "Makes a token; it is shown once.", in: store.TokenAdd{}, out: store.TokenMade{}},
	"DELETE /api/v1/tokens/{name}":       {what: "Ends a token.", out: struct{}{}},
}
