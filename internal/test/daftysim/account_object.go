package daftysim

// getAccount answers the state of an account. Its fields are not documented.
func (s *Simulator) getAccount(c *call) answer {
	s.mu.Lock()
	a, shown := c.key.account, s.opts.Variants.AccountObject
	payload := map[string]any{}
	if shown != AccountObjectEmpty {
		payload = map[string]any{"name": a.name, "credits": a.credits, "plan": "simulated", "subscribed": !a.unsubscribed}
		if a.allowance >= 0 {
			payload["jobsLeft"] = a.allowance
		}
	}
	if shown == AccountObjectNested {
		payload["plan"] = map[string]any{"id": "simulated", "renewsAt": nil, "features": []any{"images", map[string]any{"videos": a.credits > 0}}}
	}
	s.mu.Unlock()
	return s.data(200, payload)
}
