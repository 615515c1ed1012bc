package deploy

import "ingot/store"

// Heard is how many agents' keys the Service remembers.
func (s *Service) Heard() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.heard)
}

// ReadList reads a supplier's list and gives the serial keys of its rows.
func ReadList(csv []byte) (serials []string, bad []store.BadLine) {
	rows, bad := readList(csv)
	for _, r := range rows {
		serials = append(serials, store.SerialKey(r.maker, r.serial))
	}
	return serials, bad
}
