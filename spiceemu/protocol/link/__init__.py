"""The link: what both sides say before a connection carries messages."""
