"""How clients ask: each protocol parses a request into a job, and renders its result."""
