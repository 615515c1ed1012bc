package e2e

import (
	"errors"
	"fmt"
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
