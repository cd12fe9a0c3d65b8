"""What the client keeps of the pictures it was sent, so that a picture drawn again travels as its id alone.

The client's cache does not forget by itself: the server decides, and says so with INVAL_LIST. Asking for a picture that
the client does not have makes spice-gtk wait for ever, so only what this channel sent, and has not withdrawn, is asked
for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from itertools import starmap
from struct import Struct

MIN_AREA = 16 * 16
"""Pictures of fewer pixels are not worth remembering: the reference costs as much as a small image."""

MAX_AREA = 256 * 256
"""Pictures of more pixels seldom come again, and looking would cost more than 0.2 ms."""

MAX_ENTRIES = 4096
"""Pictures remembered at once, whatever room the client offers."""

ID_BYTES = 8
SALT = Struct("<QQ")

ENTRY = Struct("<QI")
"""A picture in :meth:`PixmapCache.state`: its id, and how many pixels it has."""


class PixmapCache:
    """The pictures of one channel in its client's cache; a part of a :class:`ClientCache`.

    :param capacity: the client's cache, in pixels; nothing is cached at 0.
    :param display_id: which channel it is. A client has one cache for all of them; with ids of its own no channel can
        withdraw what another one counts on.
    """

    def __init__(self, capacity: int, display_id: int = 0) -> None:
        self.capacity = max(capacity, 0)
        self._display_id = display_id
        self._areas: OrderedDict[int, int] = OrderedDict()
        self._used = 0

    def __len__(self) -> int:
        return len(self._areas)

    def look_up(self, width: int, height: int, pixels: bytes) -> tuple[int, bool] | None:
        """The id of a picture and whether the client has it; None where it is not cached at all.

        A new picture is remembered: send it with CACHE_ME and that id, after what :meth:`evict` says.
        """
        area = width * height
        if not MIN_AREA <= area <= min(MAX_AREA, self.capacity):
            return None
        # The width belongs to the picture: 2x8 and 8x2 may have the same bytes.
        salt = SALT.pack(width, self._display_id)
        digest = blake2b(pixels, digest_size=ID_BYTES, salt=salt)
        number = int.from_bytes(digest.digest(), "little")
        if number in self._areas:
            self._areas.move_to_end(number)
            return number, True
        self._areas[number] = area
        self._used += area
        return number, False

    def evict(self) -> list[int]:
        """Forget the pictures that were not used for longest until the rest fits; their ids, for INVAL_LIST."""
        evicted = []
        while self._used > self.capacity or len(self._areas) > MAX_ENTRIES:
            number, area = self._areas.popitem(last=False)
            self._used -= area
            evicted.append(number)
        return evicted

    def save(self) -> bytes:
        """An ``ENTRY`` of every picture that the client has, the one unused for longest first."""
        return b"".join(starmap(ENTRY.pack, self._areas.items()))

    def load(self, entries: Iterable[tuple[int, int]]) -> None:
        """Count on pictures that the client has from another server."""
        for number, area in entries:
            self._areas[number] = area
            self._used += area

    def clear(self) -> None:
        """Forget everything, for INVAL_ALL_PIXMAPS."""
        self._areas.clear()
        self._used = 0


class ClientCache:
    """All that a client keeps of pictures. Its display channels share it: each has a part of its own."""

    def __init__(self) -> None:
        self._parts: dict[int, PixmapCache] = {}

    def begin_part(self, display_id: int) -> PixmapCache:
        """What a display channel that begins knows of the cache: nothing is in it yet.

        :returns: its part, which has no room before the client has told how much there is.
        """
        self._parts[display_id] = part = PixmapCache(0, display_id)
        return part

    def clear(self) -> None:
        """Forget everything, of every channel."""
        for part in self._parts.values():
            part.clear()
