"""The guest's clipboards: text of the guest, text of the client, and who has the word now.

A client's clipboard is not copied: the client says that it has something, and the guest asks for it when it wants to
paste. Whoever spoke last owns a clipboard; the other side's content is then gone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from spiceemu.drawing.given import as_kind
from spiceemu.errors import InvalidValue
from spiceemu.guest.limits import MAX_NUMBER
from spiceemu.guest.observers import Observers, call_all
from spiceemu.protocol.agent.enums import ClipboardSelection, ClipboardType
from spiceemu.protocol.agent.messages import MAX_CLIPBOARD_TYPES
from spiceemu.protocol.agent.stream import MAX_AGENT_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spiceemu.protocol.plain import Plain

    Observer: TypeAlias = Callable[["ClipboardChange"], None]

MAX_CLIPBOARD_TEXT: Final = MAX_AGENT_MESSAGE - 8
"""Longest text of the guest in bytes of UTF-8: one agent message with its selection and type."""

CLIPBOARD: Final = ClipboardSelection.CLIPBOARD


class Owner(Enum):
    """Who had the last word about a clipboard."""

    NOBODY = "nobody"
    GUEST = "guest"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class GuestCopied:
    """The guest has new text to give."""

    selection: int


@dataclass(frozen=True, slots=True)
class GuestCleared:
    """The guest has nothing to give any more."""

    selection: int


@dataclass(frozen=True, slots=True)
class TextWanted:
    """The guest wants the client's text."""

    selection: int


@dataclass(frozen=True, slots=True)
class ClientCopied:
    """The client has something to give, as these types (:class:`~spiceemu.protocol.agent.enums.ClipboardType`)."""

    selection: int
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClientCleared:
    """The client has nothing to give any more, or has gone."""

    selection: int


@dataclass(frozen=True, slots=True)
class TextReceived:
    """The client gave its text; :meth:`Clipboard.text_of` has it."""

    selection: int


@dataclass(frozen=True, slots=True)
class TextRefused:
    """The client did not give its text: it would not, or cannot any more."""

    selection: int


ClipboardChange: TypeAlias = (
    GuestCopied | GuestCleared | TextWanted | ClientCopied | ClientCleared | TextReceived | TextRefused
)


@dataclass(slots=True)
class Content:
    """What a clipboard holds, and whether the guest waits for the client's text (``wanted``)."""

    owner: Owner = Owner.NOBODY
    types: tuple[int, ...] = ()
    text: bytes | None = field(default=None, repr=False)
    wanted: bool = False

    def save(self) -> dict[str, Any]:
        """What the clipboard holds, as plain data."""
        return {
            "owner": self.owner.value,
            "types": [int(kind) for kind in self.types],
            "text": self.text,
            "wanted": self.wanted,
        }

    @classmethod
    def load(cls, state: Plain) -> Self:
        """What was saved.

        :returns: a clipboard that is as the saved one was.
        :raises InvalidValue: naming what no clipboard can hold.
        """
        owner, types, text, wanted = state.fields("owner", "types", "text", "wanted")
        owners = {who.value: who for who in Owner}
        whose = owners.get(owner.text(max(map(len, owners))))
        if whose is None:
            raise owner.wrong(f"{owner.value!r} is not one of {', '.join(owners)}")
        kinds = tuple(kind.integer(0, MAX_NUMBER) for kind in types.elements(MAX_CLIPBOARD_TYPES))
        held = text.optional(lambda it: it.data(MAX_AGENT_MESSAGE))
        content = cls(whose, kinds, held, wanted.boolean())
        if whose is Owner.NOBODY and content != cls():
            raise state.wrong("belongs to nobody, but holds something")
        if whose is Owner.GUEST and (held is None or kinds != (ClipboardType.UTF8_TEXT,)):
            raise state.wrong("belongs to the guest, which has text and nothing else")
        if content.wanted and (whose is not Owner.CLIENT or ClipboardType.UTF8_TEXT not in kinds):
            raise wanted.wrong("only a client's text is waited for")
        return content


class Clipboard:
    """X's three clipboards; clients of other systems have the first only.

    What a client sends stays as its bytes until it is read: a hostile one may need four times the memory as text.
    """

    def __init__(self) -> None:
        self._contents: dict[int, Content] = {selection: Content() for selection in ClipboardSelection}
        self._observers: Observers[ClipboardChange] = Observers("the clipboards")
        self._untold: deque[ClipboardChange] = deque()
        self._telling = False

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call the observer with every change from now on, and return a callable that ends this.

        Observers may act on the clipboards, to paste what the client copied, for one.
        """
        return self._observers.add(observer)

    # For the guest

    @property
    def text(self) -> str | None:
        """The first clipboard's text, of either side; None if there is none or it was not asked for."""
        return self.text_of(CLIPBOARD)

    def text_of(self, selection: int) -> str | None:
        """The text of a clipboard. Bytes that are not UTF-8 become U+FFFD."""
        data = self.data_of(selection)
        return None if data is None else data.decode("utf-8", "replace")

    def data_of(self, selection: int) -> bytes | None:
        """The text of a clipboard as it travels."""
        return self._content(selection).text

    def owner_of(self, selection: int) -> Owner:
        """Who had the last word about a clipboard."""
        return self._content(selection).owner

    def types_of(self, selection: int) -> tuple[int, ...]:
        """What a clipboard's content can be had as (:class:`~spiceemu.protocol.agent.enums.ClipboardType`)."""
        return self._content(selection).types

    def is_wanted(self, selection: int) -> bool:
        """Whether the client was asked for its text and has not answered."""
        return self._content(selection).wanted

    def set_text(self, text: str, selection: int = CLIPBOARD) -> None:
        """Copy text in the guest.

        :raises InvalidValue: if it is no text, longer than :data:`MAX_CLIPBOARD_TEXT`, or has half of a surrogate pair.
        """
        self._content(selection)
        try:
            data = as_kind("text", text, str).encode()
        except UnicodeEncodeError as error:
            raise InvalidValue(f"text for a clipboard is valid Unicode: {error}") from None
        if len(data) > MAX_CLIPBOARD_TEXT:
            raise InvalidValue(f"a clipboard holds {MAX_CLIPBOARD_TEXT} bytes of text, not {len(data)}")
        self._replace(selection, Content(Owner.GUEST, (ClipboardType.UTF8_TEXT,), data))
        self._tell(GuestCopied(selection))

    def clear(self, selection: int = CLIPBOARD) -> None:
        """Give up text of the guest; nothing happens to a client's."""
        if self.owner_of(selection) is Owner.GUEST:
            self._replace(selection, Content())
            self._tell(GuestCleared(selection))

    def request_text(self, selection: int = CLIPBOARD) -> bool:
        """Ask the client for its text. TextReceived or TextRefused follows.

        :returns: False if nobody was asked: the client does not own the clipboard, or has no text in it.
        """
        content = self._content(selection)
        if content.owner is not Owner.CLIENT or ClipboardType.UTF8_TEXT not in content.types:
            return False
        if not content.wanted:
            content.wanted = True
            self._tell(TextWanted(selection))
        return True

    # For snapshots

    def save(self) -> list[dict[str, Any]]:
        """What each clipboard holds, as plain data."""
        return [content.save() for content in self._contents.values()]

    def load(self, state: Plain) -> Callable[[], None]:
        """Check what other clipboards held.

        :returns: what makes these hold it. Nobody copied anything, so nobody is told.
        :raises InvalidValue: naming what no clipboard can hold.
        """
        count = len(self._contents)
        held = [Content.load(content) for content in state.elements(count, count)]
        return partial(self._contents.update, dict(zip(self._contents, held, strict=True)))

    # For the agent

    def client_copied(self, types: Sequence[int], selection: int) -> None:
        """The client has something to give."""
        self._content(selection)
        self._replace(selection, Content(Owner.CLIENT, tuple(types)))
        self._tell(ClientCopied(selection, tuple(types)))

    def client_cleared(self, selection: int) -> None:
        """The client has nothing to give any more; nothing happens to the guest's text."""
        if self.owner_of(selection) is Owner.CLIENT:
            self._replace(selection, Content())
            self._tell(ClientCleared(selection))

    def text_arrived(self, data: bytes, selection: int) -> None:
        """The client gave text; ignored if nobody waits for it."""
        content = self._content(selection)
        if content.wanted:
            content.wanted, content.text = False, data
            self._tell(TextReceived(selection))

    def text_refused(self, selection: int) -> None:
        """The client gave nothing; ignored if nobody waits."""
        content = self._content(selection)
        if content.wanted:
            content.wanted = False
            self._tell(TextRefused(selection))

    def _replace(self, selection: int, content: Content) -> None:
        """Give a clipboard new content; who still waits for the old one hears that it does not come."""
        old, self._contents[selection] = self._contents[selection], content
        if old.wanted:
            self._tell(TextRefused(selection))

    def _content(self, selection: int) -> Content:
        try:
            return self._contents[selection]
        except (KeyError, TypeError):
            raise InvalidValue(f"there are three clipboards, 0 to 2, not {selection!r}") from None

    def _tell(self, change: ClipboardChange) -> None:
        """Tell every observer; what follows from it, as observers may act, is told after it.

        All of it is told, even if an observer raises: what nobody heard of now would come with the next change.
        """
        self._untold.append(change)
        if self._telling:
            return
        self._telling = True
        try:
            call_all(self._tellings())
        finally:
            self._telling = False

    def _tellings(self) -> Iterator[Callable[[], None]]:
        """A call for each change that is not told, those that come meanwhile included."""
        while self._untold:
            yield partial(self._observers.tell, self._untold.popleft())
