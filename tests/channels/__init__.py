"""The channels without a connection: bytes in, events and bytes out."""
