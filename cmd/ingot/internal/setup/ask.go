package setup

import (
	"fmt"
	"io"
	"strings"
)

// Asker asks a person, each question with an answer that was found.
type Asker struct {
	Out   io.Writer
	Line  func() (string, error) // reads what the person types
	Asked int                    // how many questions were asked
}

// tries is how often an answer may be wrong.
const tries = 3

// Ask gives the person's answer, or the one found when he only presses Enter. check says in words what is wrong with
// an answer.
func (a *Asker) Ask(question, found string, check func(string) error) (string, error) {
	a.Asked++
	var last error
	for range tries {
		fmt.Fprintf(a.Out, "%s [%s]: ", question, found)
		line, err := a.Line()
		if err != nil {
			return "", err
		}
		if line = strings.TrimSpace(line); line == "" {
			line = found
		}
		if last = check(line); last == nil {
			return line, nil
		}
		fmt.Fprintf(a.Out, "%v\n", last)
	}
	return "", last
}
