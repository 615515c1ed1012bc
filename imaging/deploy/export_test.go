package deploy

// Heard is how many agents' keys the Service remembers.
func (s *Service) Heard() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.heard)
}
