package imaging

// Span is a run of extent numbers, First to Last inclusive.
type Span struct{ First, Last uint64 }
