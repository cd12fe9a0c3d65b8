"""Named limits that several modules of the protocol share.

A limit that only one module needs lives in that module. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

MAX_LINK_SIZE = 4096
"""Largest ``size`` of a link header. spice-server refuses more, so that a stranger cannot make it allocate."""

MAX_CAPABILITY_WORDS = 1024
"""Most 32-bit words in one capability list, as in spice-server; every list known today fits in one word."""

MAX_PASSWORD_LENGTH = 60
"""Longest password without its NUL: SPICE_MAX_PASSWORD_LENGTH of spice-protocol."""

LINK_TIMEOUT = 10.0
"""Time a link may take from accept to result. Real servers wait for ever; a slow human is not part of a link."""
