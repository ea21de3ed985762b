"""What all protocols and tasks share: options, labels, scores, and the engine that batches. No HTTP and no torch."""
