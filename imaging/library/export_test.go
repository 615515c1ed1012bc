package library

import "time"

// Hurry lets transfers be tried again without a pause.
func (l *Library) Hurry() { l.pause = time.Millisecond }
