package e2e

import (
	"errors"
	"fmt"
	"strings"

	"ingot/imaging/job"
)

// same compares what was found with what must be.
func same[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v; want %v", what, got, want)
	}
	return nil
}

// that holds a condition with its sentence.
func that(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// checks gathers all that is wrong.
func checks(errs ...error) error { return errors.Join(errs...) }

// asExit reports whether err is a command line's refusal.
func asExit(err error, exit **ExitError) bool { return errors.As(err, exit) }

// containsCode looks for a code in a person's words.
func containsCode(words string, c job.Code) bool { return strings.Contains(words, string(c)) }

// refusedWith reports whether a command ended with this code.
func refusedWith(err error, c job.Code) bool {
	var exit *ExitError
	return asExit(err, &exit) && containsCode(exit.Error(), c)
}
