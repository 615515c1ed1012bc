package cmd_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ingot/imaging/job"
)

// flagWord is a flag of a command, as a sentence names it.
var flagWord = regexp.MustCompile(`(^|[\s(":])--[a-z]`)

// TestNoPageShowsAFlag: what a fault tells may stand on a page, whoever makes it, and so may what is found about a receipt
// or a report; only the command line's own sentences name its flags. The source is read: each text of the packages whose
// words reach a page, every fault's besides, and each code's words as a page says them.
func TestNoPageShowsAFlag(t *testing.T) {
	texts, faults := 0, 0
	eachFile(t, func(path string, f *ast.File) {
		if strings.HasPrefix(path, "../cmd/") || strings.HasSuffix(path, "_test.go") {
			return
		}
		told := false
		for _, of := range []string{"../store/", "../imaging/deploy/", "../imaging/library/", "../web/"} {
			told = told || strings.HasPrefix(path, of)
		}
		inFault := map[ast.Node]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if name, ok := n.Fun.(*ast.SelectorExpr); ok && name.Sel.Name == "Faultf" {
					faults++
					for _, arg := range n.Args {
						inFault[arg] = true
					}
				}
			case *ast.BasicLit:
				if n.Kind != token.STRING {
					return true
				}
				texts++
				text, err := strconv.Unquote(n.Value)
				if err != nil {
					t.Errorf("%s: %s: %v", path, n.Value, err)
				}
				if flagWord.MatchString(text) && (inFault[n] || told && strings.Contains(text, " ")) {
					t.Errorf("%s: a page may show %q", path, text)
				}
			}
			return true
		})
	})
	if texts < 5000 || faults < 400 {
		t.Errorf("only %d texts and %d faults were read", texts, faults)
	}
	t.Logf("%d texts, %d faults", texts, faults)
	codes := constants(t, "../imaging/job/codes.go", "../imaging/job/codes_wipe.go", "../imaging/job/bootcodes.go")
	for name, number := range codes {
		if w := job.Code(number).OnPage(); flagWord.MatchString(w.Sentence + " " + w.Next) {
			t.Errorf("%s (%s) says on a page: %s", name, number, w.Next)
		}
	}
}
