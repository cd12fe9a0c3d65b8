"""The messages of the guest's agent, which travel in pieces on the main channel."""
