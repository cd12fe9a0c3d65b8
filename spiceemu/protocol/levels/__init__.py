"""Levels: what servers of each version had, and what follows from it for a message."""
