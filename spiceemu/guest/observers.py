"""Who wants to hear of something, and the telling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Told = TypeVar("Told")


class Observers(Generic[Told]):
    """Callables that are told of every change, in the order they came."""

    def __init__(self) -> None:
        self._known: dict[object, Callable[[Told], None]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, observer: Callable[[Told], None]) -> Callable[[], None]:
        """Tell this one as well from now on; the callable that is returned ends it, and may be called again."""
        token = object()
        self._known[token] = observer

        def end() -> None:
            self._known.pop(token, None)

        return end

    def tell(self, change: Told) -> None:
        """Tell all that are there now: one that comes or goes meanwhile counts from the next change on."""
        for observer in tuple(self._known.values()):
            observer(change)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
