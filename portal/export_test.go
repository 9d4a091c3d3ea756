package portal

// Remembered is how many finished attempts to sign in are remembered.
func (p *Portal) Remembered() int {
	p.used.mu.Lock()
	defer p.used.mu.Unlock()
	return len(p.used.seen)
}
