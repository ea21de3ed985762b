"""The webhook: AdmissionReview in, patch out, from what is in memory. It makes no call of its own."""
