"""The controller role: what it watches, measures, writes and tells."""
