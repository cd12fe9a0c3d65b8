"""How pictures are encoded, in the words that users say it with: the only place where these stand.

The command line reads this before its port listens, so it loads nothing.
"""

AUTO = "auto"
"""By the first codec that the client can take and that makes the picture shorter, else as plain bitmaps."""

LZ = "lz"
"""As LZ, whatever comes of it."""

OFF = "off"
"""As plain bitmaps."""

COMPRESSIONS = (AUTO, LZ, OFF)
"""The words."""

DEFAULT_COMPRESSION = AUTO
"""What is done if nothing is said."""


def enumerate_compressions(before_last: str) -> str:
    """The words as a part of a sentence.

    :param before_last: ``and`` or ``or``.
    :returns: ``auto, lz or off``.
    """
    return f"{', '.join(COMPRESSIONS[:-1])} {before_last} {COMPRESSIONS[-1]}"
