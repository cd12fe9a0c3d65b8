"""What a display tells its observers: what is drawn, and what happens to its surfaces and monitors.

Operations come as they were really done, cut at the edges of their surface and never empty. Each can be sent on from
what it carries alone, but for what it reads from a surface. An observer that must send one as pixels reads its box from
the surface while it is called: later drawing may have changed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from spiceemu.drawing.operations import Operation


@dataclass(frozen=True, slots=True)
class SurfaceCreated:
    """A new surface; 0 is the primary, the one on screen. Its pixels are undefined until drawn."""

    surface_id: int
    width: int
    height: int
    has_alpha: bool


@dataclass(frozen=True, slots=True)
class SurfaceDestroyed:
    """The surface is gone; its id may be used again."""

    surface_id: int


@dataclass(frozen=True, slots=True)
class MonitorsChanged:
    """The display's heads changed; ``display.heads`` has the new ones. Heads always show the primary."""

    surface_id: ClassVar[int] = 0


DisplayNews: TypeAlias = SurfaceCreated | SurfaceDestroyed | MonitorsChanged
"""What is not drawn."""

DisplayChange: TypeAlias = Operation | DisplayNews
"""Everything that observers of a display are told."""
