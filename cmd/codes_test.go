package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryCodeIsMadeAndTested: each code of the table is made somewhere in the program, and some test expects it.
//
// How it is known: the source is read. A test expects a code where its constant stands as something to compare with: on
// one side of == or !=, as an argument of a call (wantCode(t, what, err, job.CodeX)), or as a value of a table's row, over
// which a test loops; its number in a text at one of these places counts too, and in a stdout or stderr line of a script.
// What a test makes itself does not count: a constant inside Faultf(...) or Fault{...}. The end-to-end cases count as
// tests. That the expectation holds is what running the tests proves; that it is there at all, and for every code, is
// proved here.
func TestEveryCodeIsMadeAndTested(t *testing.T) {
	codes := constants(t, "../imaging/job/codes.go", "../imaging/job/codes_wipe.go", "../imaging/job/bootcodes.go")
	made, expected := map[string]bool{}, map[string]bool{}
	eachFile(t, func(path string, f *ast.File) {
		switch {
		case strings.HasSuffix(path, "_test.go"), strings.HasPrefix(path, "../cmd/internal/e2e/"):
			expectations(f, codes, expected)
		case !strings.HasPrefix(path, "../imaging/job/codes") && !strings.HasPrefix(path, "../imaging/job/bootcodes.go"):
			ast.Inspect(f, func(n ast.Node) bool {
				if c, ok := codeOf(n, codes); ok {
					made[c] = true
				}
				return true
			})
		}
	})
	inScripts(t, codes, expected)
	if len(codes) < 90 {
		t.Fatalf("only %d codes were found", len(codes))
	}
	for c, number := range codes {
		if !made[c] {
			t.Errorf("%s (%s): nothing in the program makes it", c, number)
		}
		if !expected[c] {
			t.Errorf("%s (%s): no test expects it", c, number)
		}
	}
}

// constants reads the codes' names and numbers from their source.
func constants(t *testing.T, paths ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			if lit, ok := v.Values[0].(*ast.BasicLit); ok && regexp.MustCompile(`^"[EB]\d{3}"$`).MatchString(lit.Value) {
				out[v.Names[0].Name] = strings.Trim(lit.Value, `"`)
			}
			return true
		})
	}
	return out
}

// eachFile parses every Go file of the module.
func eachFile(t *testing.T, do func(path string, f *ast.File)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		do(path, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// codeOf recognises job.CodeX, and CodeX within package job.
func codeOf(n ast.Node, codes map[string]string) (string, bool) {
	name := ""
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && x.Name == "job" {
			name = n.Sel.Name
		}
	case *ast.Ident:
		name = n.Name
	}
	_, ok := codes[name]
	return name, ok
}

var number = regexp.MustCompile(`\b[EB]\d{3}\b`)

// inText notes the codes whose numbers stand in a text.
func inText(text string, codes map[string]string, expected map[string]bool) {
	for _, n := range number.FindAllString(text, -1) {
		for c, of := range codes {
			if of == n {
				expected[c] = true
			}
		}
	}
}

// inScripts notes what the scripts of the command line expect on its output.
func inScripts(t *testing.T, codes map[string]string, expected map[string]bool) {
	t.Helper()
	scripts, err := filepath.Glob("ingot/testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	for _, path := range scripts {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n") {
			if strings.HasPrefix(line, "stdout ") || strings.HasPrefix(line, "stderr ") {
				inText(line, codes, expected)
			}
		}
	}
}

// expectations notes the codes that a test file compares something with.
func expectations(f *ast.File, codes map[string]string, expected map[string]bool) {
	note := func(e ast.Expr) {
		if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 { // string(job.CodeX)
			e = call.Args[0]
		}
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if c, ok := codeOf(kv.Key, codes); ok {
				expected[c] = true
			}
			e = kv.Value
		}
		if c, ok := codeOf(e, codes); ok {
			expected[c] = true
		}
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			inText(lit.Value, codes, expected)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if strings.HasSuffix(written(n.Fun), "Faultf") {
				return false
			}
			for _, a := range n.Args {
				note(a)
			}
		case *ast.CompositeLit:
			if n.Type != nil && strings.HasSuffix(written(n.Type), "Fault") {
				return false
			}
			for _, e := range n.Elts {
				note(e)
			}
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				note(n.X)
				note(n.Y)
			}
		}
		return true
	})
}
