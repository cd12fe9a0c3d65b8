"""Pictures to SPICE image payloads, and back."""
