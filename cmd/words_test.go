package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mouths are where text reaches a person: the console of an operator, an answer of the API or of the boot listener, the
// laptop's screen and serial line. Loggers are not among them: the raw cause belongs into the log.
var mouths = []struct {
	packages *regexp.Regexp
	call     *regexp.Regexp // the called expression as it is written
}{
	{regexp.MustCompile(`^ingot/`), regexp.MustCompile(`^(job\.)?Faultf$|^http\.Error$`)},
	{regexp.MustCompile(`^ingot/cmd/ingot$`), regexp.MustCompile(`^fmt\.Fprint(f|ln)?$|^(row|printable|prefixed|orDash)$`)},
	{regexp.MustCompile(`^ingot/(cmd/ingot-agent|imaging/agent)`), regexp.MustCompile(`\.(say|Say|warn)$|^fmt\.Fprint(f|ln)?$`)},
}

// literals are the records whose texts a person reads.
var literals = regexp.MustCompile(`^(job\.Fault|Fault|agent\.View|View|store\.BootEvent|store\.Event|job\.Next|verdict)$`)

// putsIntoWords are the functions that may take a raw error on its way to a person.
var putsIntoWords = regexp.MustCompile(`^(job\.)?(Reason|FaultOf)$|^(words|tomlReason|problemWords|flagError|rawText)$`) // rawText is for those who ask for it

// TestNoErrorIsSaidRaw goes through the source with its types: an expression that is an error, or the text of one, may
// stand in what a person reads only inside a function that puts it into words. A *job.Fault is words already.
func TestNoErrorIsSaidRaw(t *testing.T) {
	seen := 0
	for _, p := range typedPackages(t) {
		for _, f := range p.files {
			ast.Inspect(f, func(n ast.Node) bool {
				var said []ast.Expr
				switch n := n.(type) {
				case *ast.CallExpr:
					if isMouth(p.path, written(n.Fun)) {
						seen++
						if said = n.Args; strings.HasSuffix(written(n.Fun), "Faultf") {
							said = n.Args[1:] // the first is the code
						}
					}
				case *ast.CompositeLit:
					if n.Type != nil && literals.MatchString(written(n.Type)) {
						seen++
						said = n.Elts
					}
				}
				for _, e := range said {
					p.wantWords(t, e)
				}
				return true
			})
		}
	}
	if seen < 300 {
		t.Errorf("only %d places were found at which something is said", seen)
	}
}

func isMouth(path, call string) bool {
	for _, m := range mouths {
		if m.packages.MatchString(path) && m.call.MatchString(call) {
			return true
		}
	}
	return false
}

// wantWords looks for raw errors inside one thing that is said.
func (p typed) wantWords(t *testing.T, said ast.Expr) {
	ast.Inspect(said, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			if putsIntoWords.MatchString(written(n.Fun)) {
				return false
			}
		case *ast.KeyValueExpr:
			ast.Inspect(n.Value, func(v ast.Node) bool { return p.raw(t, v) })
			return false
		}
		return p.raw(t, n)
	})
}

// raw reports an error where it stands, and says whether to look deeper.
func (p typed) raw(t *testing.T, n ast.Node) bool {
	if c, ok := n.(*ast.CallExpr); ok && putsIntoWords.MatchString(written(c.Fun)) {
		return false
	}
	e, ok := n.(ast.Expr)
	if !ok {
		return true
	}
	if s, ok := e.(*ast.SelectorExpr); ok && s.Sel.Name != "Error" && !p.isError(s) {
		return false // a field of an error is not the error
	}
	if id, ok := e.(*ast.Ident); ok && p.info.Uses[id] != nil && p.info.Uses[id].Parent() == p.scope {
		return false // a sentence of the package's own
	}
	if !p.isError(e) {
		return true
	}
	t.Errorf("%s: %s is said to a person: use job.Reason", p.fset.Position(e.Pos()), written(e))
	return false
}

func (p typed) isError(e ast.Expr) bool {
	of := p.info.TypeOf(e)
	return of != nil && types.Implements(of, errorType) && !strings.HasSuffix(of.String(), "imaging/job.Fault") && !types.Identical(of, types.Typ[types.UntypedNil])
}

var errorType = types.Universe.Lookup("error").Type().Underlying().(*types.Interface)

// written is an expression as it stands in the source, as far as a name needs it.
func written(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return written(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		return written(e.Fun) + "()"
	case *ast.StarExpr:
		return written(e.X)
	case *ast.IndexExpr:
		return written(e.X)
	}
	return fmt.Sprintf("%T", e)
}

// typed is one package of ours with its types.
type typed struct {
	path  string
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
	scope *types.Scope // of the package's own names
}

// typedPackages checks the types of every package of the program, by the export data of the build cache.
func typedPackages(t *testing.T) (out []typed) {
	t.Helper()
	list, err := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles", "ingot/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports := map[string]string{}
	type entry struct {
		ImportPath, Export, Dir string
		GoFiles                 []string
	}
	var ours []entry
	for dec := json.NewDecoder(bytes.NewReader(list)); ; {
		var e entry
		if err := dec.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[e.ImportPath] = e.Export
		if strings.HasPrefix(e.ImportPath, "ingot/") && !strings.HasPrefix(e.ImportPath, "ingot/cmd/internal") && e.ImportPath != "ingot/cmd/ingot-lab" {
			ours = append(ours, e)
		}
	}
	fset := token.NewFileSet()
	imp := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, e := range ours {
		p := typed{path: e.ImportPath, fset: fset, info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}}
		for _, name := range e.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(e.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			p.files = append(p.files, f)
		}
		pkg, err := (&types.Config{Importer: imp}).Check(e.ImportPath, fset, p.files, p.info)
		if err != nil {
			t.Fatalf("types of %s: %v", e.ImportPath, err)
		}
		p.scope = pkg.Scope()
		out = append(out, p)
	}
	return out
}
