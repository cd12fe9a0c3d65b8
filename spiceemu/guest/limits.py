"""How much a guest may have, for those who must know it before there is one."""

from __future__ import annotations

from typing import Final

DEFAULT_SIZE: Final = (1024, 768)
"""Width and height of a display in pixels."""

MAX_DISPLAYS: Final = 256
"""Displays of a guest: a channel's id has eight bits."""

MAX_NAME: Final = 1 << 16
"""Longest name of a guest in bytes of UTF-8."""

MAX_NUMBER: Final = (1 << 32) - 1
"""Largest number of 32 bits, for what the protocol counts so and nothing else limits."""
