"""What computes logits. A backend sees arrays only: no text, no label, no request."""
