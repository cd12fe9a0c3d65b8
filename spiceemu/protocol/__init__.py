"""Bytes and their meaning: messages, link, framing, capabilities. Nothing here knows a socket or a clock."""
