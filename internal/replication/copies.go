package replication

// SetCopies changes how many slaves must have a message for it to count as replicated; at least 1. What has counted stays.
func (m *Master) SetCopies(n int) {
	m.mu.Lock()
	same := m.copies == max(n, 1)
	m.copies = max(n, 1)
	m.mu.Unlock()
	if !same {
		m.recount()
	}
}
