"""Rules of the channels that have few: cursor, inputs, port, playback, record.

Sources: sections 7, 10 and 11 of the notes on releases; spice-gtk's ``channel-cursor.c`` and ``channel-inputs.c``,
spice-server's ``sound.c``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from spiceemu.judge.display_rules import DisplayRules
from spiceemu.judge.main_rules import MainRules
from spiceemu.judge.memory import Remembered
from spiceemu.judge.rules import ChannelRules, Handler, Owed, Scene, not_a_target
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import CursorFlags
from spiceemu.protocol.levels.needs import Breach
from spiceemu.protocol.messages import base, cursor, inputs, playback, record, spicevmc
from spiceemu.protocol.messages.message import CLIENT, SERVER, Message

MOTIONS_OF_AN_ACK = 4
"""MOUSE_MOTION_ACK stands for so many motions or positions."""


class StateOnly(ChannelRules):
    """A channel whose state travels when its session migrates, and that has no other rules."""

    def judge(self, direction: str, message: Message) -> Iterator[Breach | Owed]:
        """What is wrong with a message at this point."""
        if direction == CLIENT and isinstance(message, base.MigrateData) and self.session.whole:
            yield not_a_target(message)
        yield from super().judge(direction, message)


class CursorRules(ChannelRules):
    """One cursor channel: INIT, and what is cached."""

    first = cursor.Init
    late = frozenset({cursor.Set, cursor.Move, cursor.Trail, cursor.InvalOne})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._cache = Remembered(complete=scene.session.whole)
        self._initialised = False

    def init(self, message: cursor.Init) -> Iterator[Breach]:
        """INIT comes once until RESET."""
        if self._initialised:
            yield Breach(message.spec.name, reason="comes again without cursor.Reset before it")
        self._initialised = True
        yield from self._picture(message, message.cursor)

    def reset(self, _message: cursor.Reset) -> Iterator[Breach]:
        """RESET asks for another INIT."""
        self._initialised = self.opened = False
        yield from ()

    def new_picture(self, message: cursor.Set) -> Iterator[Breach]:
        """SET has a picture, or names one."""
        return self._picture(message, message.cursor)

    def _picture(self, message: Message, picture: cursor.Cursor) -> Iterator[Breach]:
        if picture.u is None:
            return
        number = picture.u.unique
        if picture.flags & CursorFlags.FROM_CACHE and number not in self._cache:
            self._cache.add(number)
            yield Breach(message.spec.name, reason=f"takes cursor {number:#x} from the cache, where it is not")
        if picture.flags & CursorFlags.CACHE_ME:
            self._cache.add(number)

    def inval_one(self, message: cursor.InvalOne) -> Iterator[Breach]:
        """INVAL_ONE takes a cursor out of the cache."""
        self._cache.discard(message.id)
        yield from ()

    def inval_all(self, _message: cursor.InvalAll) -> Iterator[Breach]:
        """INVAL_ALL empties the cache."""
        self._cache.clear()
        yield from ()

    handlers: ClassVar[Mapping[tuple[str, type[Message]], Handler]] = {
        (SERVER, cursor.Init): init,
        (SERVER, cursor.Reset): reset,
        (SERVER, cursor.Set): new_picture,
        (SERVER, cursor.InvalOne): inval_one,
        (SERVER, cursor.InvalAll): inval_all,
    }


class InputsRules(StateOnly):
    """The inputs channel: INIT, and no more acknowledgements than there were motions."""

    first = inputs.Init
    late = frozenset({inputs.KeyModifiers, inputs.MouseMotionAck})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._motions = 0
        self._initialised = False

    def init(self, message: inputs.Init) -> Iterator[Breach]:
        """INIT comes once."""
        if self._initialised:
            yield Breach(message.spec.name, reason="comes again")
        self._initialised = True

    def motion(self, _message: inputs.MouseMotion | inputs.MousePosition) -> Iterator[Breach]:
        """MOUSE_MOTION and MOUSE_POSITION are counted together."""
        self._motions += 1
        yield from ()

    def acknowledged(self, message: inputs.MouseMotionAck) -> Iterator[Breach]:
        """MOUSE_MOTION_ACK stands for four; those at the source of a migration are carried along."""
        self._motions -= MOTIONS_OF_AN_ACK
        if self._motions < 0:
            self._motions = 0
            if self.session.whole:
                reason = f"comes before {MOTIONS_OF_AN_ACK} more motions or positions of the client"
                yield Breach(message.spec.name, reason=reason)

    handlers: ClassVar[Mapping[tuple[str, type[Message]], Handler]] = {
        (SERVER, inputs.Init): init,
        (CLIENT, inputs.MouseMotion): motion,
        (CLIENT, inputs.MousePosition): motion,
        (SERVER, inputs.MouseMotionAck): acknowledged,
    }


class PortRules(StateOnly):
    """A port: INIT has its name."""

    first = spicevmc.Init
    late = frozenset({spicevmc.Data, spicevmc.CompressedData, spicevmc.Event})


class PlaybackRules(ChannelRules):
    """Sound from the guest, between START and STOP."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._plays: bool | None = False if scene.session.whole else None  # None where nobody knows

    def start(self, message: playback.Start) -> Iterator[Breach]:
        """START begins the sound."""
        if self._plays:
            yield Breach(message.spec.name, reason="comes again without playback.Stop before it")
        self._plays = True

    def data(self, message: playback.Data) -> Iterator[Breach]:
        """DATA comes while there is sound."""
        if self._plays is False:
            self._plays = None
            yield Breach(message.spec.name, reason="comes without playback.Start before it")

    def stop(self, message: playback.Stop) -> Iterator[Breach]:
        """STOP ends it."""
        if self._plays is False:
            yield Breach(message.spec.name, reason="comes without playback.Start before it")
        self._plays = False

    handlers: ClassVar[Mapping[tuple[str, type[Message]], Handler]] = {
        (SERVER, playback.Start): start,
        (SERVER, playback.Data): data,
        (SERVER, playback.Stop): stop,
    }


class RecordRules(ChannelRules):
    """Sound to the guest: what the client sends was asked for once; what crosses STOP is no fault."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._asked = not scene.session.whole

    def start(self, _message: record.Start) -> Iterator[Breach]:
        """START asks for sound."""
        self._asked = True
        yield from ()

    def sound(self, message: Message) -> Iterator[Breach]:
        """What a client says of its sound."""
        if not self._asked:
            self._asked = True
            yield Breach(message.spec.name, reason="comes without record.Start of the server before it")

    handlers: ClassVar[Mapping[tuple[str, type[Message]], Handler]] = {
        (SERVER, record.Start): start,
        (CLIENT, record.Data): sound,
        (CLIENT, record.StartMark): sound,
    }


RULES: Mapping[ChannelType, type[ChannelRules]] = {
    ChannelType.MAIN: MainRules,
    ChannelType.DISPLAY: DisplayRules,
    ChannelType.INPUTS: InputsRules,
    ChannelType.CURSOR: CursorRules,
    ChannelType.PLAYBACK: PlaybackRules,
    ChannelType.RECORD: RecordRules,
    ChannelType.TUNNEL: ChannelRules,
    ChannelType.SMARTCARD: StateOnly,
    ChannelType.USBREDIR: StateOnly,
    ChannelType.PORT: PortRules,
    ChannelType.WEBDAV: PortRules,
}
"""The rules of each channel."""
