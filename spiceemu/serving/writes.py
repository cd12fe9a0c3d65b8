"""How a channel's buffers become writes."""

from __future__ import annotations

SLICE = 3 << 18
"""Bytes of a large buffer written at a time; the transport copies what the socket does not take at once.

Half a MiB to three quarters were the fastest: a whole MiB costs a third of the rate of large frames.
"""

JOIN_BELOW = 1 << 16
"""Buffers up to this size are joined into one write; larger ones are written as they are, uncopied."""


def writes(buffers: list[bytes], *, join: bool) -> list[bytes | memoryview]:
    """What to write at a time: small neighbours as one buffer, large ones in slices that are views of the original.

    Over TLS nothing is joined. spice-gtk reads on only while its *socket* has data, so of several messages in one TLS
    record it handles the first alone, until something else arrives.
    """
    made: list[bytes | memoryview] = []
    small: list[bytes] = []
    for buffer in buffers:
        if join and len(buffer) <= JOIN_BELOW:
            small.append(buffer)
            continue
        if small:
            made.append(b"".join(small))
            small = []
        view = memoryview(buffer)
        made += [view[start : start + SLICE] for start in range(0, len(view), SLICE)]
    if small:
        made.append(b"".join(small))
    return made
