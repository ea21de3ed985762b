"""What a model is for: from instances to what it computes on, and from its logits to answers."""
