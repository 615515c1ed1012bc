package push_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"ingot/imaging/job"
	"ingot/web/push"
)

// FuzzRegisterAnswer: whatever a register answers is an asset or a failure in words; nothing of it steers a terminal.
func FuzzRegisterAnswer(f *testing.F) {
	for _, s := range []string{`{"id":1,"serial":"PF3&amp;","custom_fields":[],"assigned_to":null}`, `{"id":1,"custom_fields":{"A":{"field":"_snipeit_a_1","value":{"date":"2026-11-20"}}}}`,
		`{"status":"error","messages":"Asset does not exist.","payload":null}`, `{"status":"error","messages":{"serial":["The serial must be unique."]}}`,
		`{"status":"error","messages":429}`, `{"status":"error","messages":"Too many requests. Try again in 367946340 seconds.","retryAfter":1e99}`, `[]`, ``, `<html>`,
		`{"status":"error","messages":` + strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 101), `{"status":"error","messages":"\u001b[31m"}`} {
		f.Add(200, []byte(s))
		f.Add(429, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		_, _, err := push.JudgeSnipe(status, body)
		if err == nil {
			if status < 200 || status > 299 {
				t.Errorf("status %d is a success", status)
			}
			return
		}
		var told *job.Fault
		if !errors.As(err, &told) || told.Code == job.CodeInternal || strings.ContainsFunc(told.Fact, unicode.IsControl) {
			t.Errorf("status %d, %q: %v", status, body, err)
		}
	})
}
