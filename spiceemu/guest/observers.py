"""Who wants to hear of something, and the telling.

An observer that raises keeps nobody else from hearing. Its exception then goes on to whoever caused the change, as what
it is, with a note that names the observer: the mistake is the observer's, not that of who pressed a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

from spiceemu.errors import RemoteError

Told = TypeVar("Told")

_RAISED_BY = "raised by "


class Observers(Generic[Told]):
    """Callables that are told of every change, in the order they came.

    :param subject: what they observe, in words: ``the guest``.
    """

    def __init__(self, subject: str) -> None:
        self.subject = subject
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
        """Tell all that are there now: one that comes or goes meanwhile counts from the next change on.

        :raises Exception: the first that an observer raised, once all were told.
        """
        failure = None
        for observer in tuple(self._known.values()):
            try:
                observer(change)
            except Exception as error:  # noqa: BLE001 - raised below, when the others have heard
                _blame(error, observer, self.subject)
                failure = _first_of(failure, error)
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # which would keep this frame, and the frame it

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Call all of these, whatever the observers do who are told meanwhile.

    :raises Exception: the first that was raised, once all were called.
    """
    failure = None
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised below, when all is done
            failure = _first_of(failure, error)
    if failure is not None:
        try:
            raise failure
        finally:
            del failure


def _first_of(first: Exception | None, later: Exception) -> Exception:
    """The exception to raise of two, once all is done: the first, with a note of the later one."""
    if first is None:
        return later
    if first is not later:
        first.add_note(" ".join([f"followed by {later!r}", *_blames(later)[:1]]))
    return first


def _blame(error: Exception, observer: Callable[..., None], subject: str) -> None:
    """Name the observer, if it is its own exception: one that only passes on another's is not to blame."""
    if isinstance(error, RemoteError):
        error.ours = True
    if not _blames(error):
        error.add_note(f"{_RAISED_BY}{name_of(observer)}, an observer of {subject}")


def _blames(error: Exception) -> list[str]:
    return [note for note in getattr(error, "__notes__", ()) if note.startswith(_RAISED_BY)]


def name_of(function: Callable[..., object]) -> str:
    """The qualified name of a function, or of the class of what can be called like one."""
    while isinstance(function, partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return ".".join(filter(None, (getattr(named, "__module__", None), named.__qualname__)))
