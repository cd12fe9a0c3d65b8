"""What another server says of a display channel that goes on here, read with the care that all from elsewhere needs.

::

    created        id, width, height and has_alpha of each surface at the client
    dirty          id, x, y, width and height of what it was not sent yet
    monitors_due   whether it is still to be told of its monitors
    mark_due       whether MARK is still to come
    cache          the pictures that it keeps, as :mod:`spiceemu.channels.pixmap_cache` packs them
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.channels.pixmap_cache import ENTRY, MAX_AREA as MAX_CACHED_AREA, MAX_ENTRIES
from spiceemu.drawing.surface import MAX_HEIGHT, MAX_WIDTH
from spiceemu.guest.display import MAX_SURFACE_ID
from spiceemu.guest.limits import MAX_NUMBER
from spiceemu.protocol.messages.migrate_data import MAX_SURFACES_AT_CLIENT

if TYPE_CHECKING:
    from spiceemu.protocol.plain import Plain


def check_display(state: Plain) -> None:
    """Judge what :meth:`~spiceemu.channels.display.DisplayChannel.save` is said to have given.

    :raises InvalidValue: naming what cannot be.
    """
    created, dirty, monitors, mark, cache = state.fields("created", "dirty", "monitors_due", "mark_due", "cache")
    for surface in created.elements(MAX_SURFACES_AT_CLIENT):
        number, width, height, has_alpha = surface.elements(4, 4)
        number.integer(0, MAX_NUMBER)  # it may have it from a server of another kind
        width.integer(0, MAX_WIDTH)
        height.integer(0, MAX_HEIGHT)
        has_alpha.boolean()
    for box in dirty.elements(MAX_SURFACE_ID + 1):
        number, x, y, width, height = box.elements(5, 5)
        number.integer(0, MAX_SURFACE_ID)
        x.integer(0, MAX_WIDTH)
        y.integer(0, MAX_HEIGHT)
        width.integer(0, MAX_WIDTH)
        height.integer(0, MAX_HEIGHT)
    monitors.boolean()
    mark.boolean()
    pictures = cache.data(MAX_ENTRIES * ENTRY.size)
    if len(pictures) % ENTRY.size:
        raise cache.wrong(f"{len(pictures)} bytes are no pictures of {ENTRY.size} bytes each")
    for number, area in ENTRY.iter_unpack(pictures):
        if not 0 < area <= MAX_CACHED_AREA:
            raise cache.wrong(f"picture {number:#x} has {area} pixels, not 1 to {MAX_CACHED_AREA}")
