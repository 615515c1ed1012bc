package job_test

import (
	"fmt"
	"strings"
	"testing"

	"ingot/imaging/job"
)

// TestThePageOfAWipeNamesNoCommand: whoever has the page alone is sent to a page.
func TestThePageOfAWipeNamesNoCommand(t *testing.T) {
	codes, known := []job.Code{job.CodeReturned}, 0
	for n := 770; n < 800; n++ {
		codes = append(codes, job.Code(fmt.Sprintf("E%d", n)))
	}
	for _, c := range codes {
		w := c.OnPage()
		if w.Sentence != "" {
			known++
		}
		if strings.Contains(w.Sentence+w.Next, "ingot ") || strings.Contains(w.Next, "--") {
			t.Errorf("%s says on a page: %s", c, w.Next)
		}
	}
	if known < 25 {
		t.Errorf("only %d codes have words", known)
	}
}
