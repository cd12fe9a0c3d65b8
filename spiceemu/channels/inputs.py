"""The inputs channel: keys and mouse, as the client sent them.

Keys arrive as bytes of PC AT scancode set 1; the keyboard of the guest makes keys of them. Motions and positions are
acknowledged four at a time, or the client stops sending them (spice-protocol SPICE_INPUT_MOTION_ACK_BUNCH).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from spiceemu.channels.channel import Channel
from spiceemu.channels.migration import Restored
from spiceemu.errors import LimitExceeded, MalformedMessage
from spiceemu.events import Event, KeyModifiers, MouseMotion, MousePosition, MousePress, MouseRelease
from spiceemu.guest.keyboard import KeyEvent, LocksChanged
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.messages import inputs
from spiceemu.protocol.messages.migrate_data import WITH_STATE, InputsData

if TYPE_CHECKING:
    from spiceemu.channels.handlers import Handlers
    from spiceemu.channels.passage import Passage
    from spiceemu.channels.tap import Taps
    from spiceemu.guest.machine import Guest, GuestEvent
    from spiceemu.protocol.link.server import Linked

MOTION_ACK_BUNCH = 4
"""Motions and positions that one MOUSE_MOTION_ACK stands for."""

MAX_SCANCODES = 2048
"""Most bytes of one KEY_SCANCODE: spice-server has room for no larger message (inputs-channel-client.h)."""


@dataclass(frozen=True, slots=True)
class Scancodes(Event):
    """Bytes for the keyboard; the session turns them into KeyDown and KeyUp."""

    data: bytes


class InputsChannel(Channel):
    """Takes keys and mouse, tells the keyboard's locks.

    :param locks: the keyboard's locks now (``KeyboardModifierFlags``).
    """

    type = ChannelType.INPUTS
    migrate_flags = WITH_STATE

    def __init__(
        self,
        linked: Linked,
        wake: Callable[[], None],
        *,
        locks: int,
        passage: Passage | None = None,
        taps: Taps | None = None,
    ) -> None:
        super().__init__(linked, wake, passage=passage, taps=taps)
        self._locks = locks
        self._told_locks = locks  # what the client believes
        self._unacknowledged = 0
        self.send(inputs.Init(locks))

    def follow(self, guest: Guest) -> None:
        """Tell the client of every change of a guest's locks, until :meth:`close`."""

        def hear(event: GuestEvent) -> None:
            if isinstance(event, KeyEvent | LocksChanged):
                self.set_locks(guest.keyboard.locks)

        self.observe(guest.subscribe, hear)

    def set_locks(self, locks: int) -> None:
        """Tell the client the keyboard's locks, if they changed.

        Other clients change them as well, so only the latest are kept until the connection takes them.
        """
        self._locks = locks
        self.wake()

    def migrate_data(self) -> bytes:
        """How many motions are not acknowledged."""
        return InputsData(motion_count=self._unacknowledged).build()

    def load_migrate_data(self, data: bytes, _now: float) -> Sequence[Event]:
        """Go on counting motions."""
        count = InputsData.parse(data).motion_count
        for _ in range(count // MOTION_ACK_BUNCH):
            self.send(inputs.MouseMotionAck())
        self._unacknowledged = count % MOTION_ACK_BUNCH
        return (Restored(),)

    def produce(self) -> None:
        """Send the locks if the client does not know them yet."""
        if self._locks != self._told_locks:
            self._told_locks = self._locks
            self.send(inputs.KeyModifiers(self._locks))

    def _on_key(self, message: inputs.KeyDown | inputs.KeyUp, _now: float) -> Sequence[Event]:
        # Up to four bytes, the first in the lowest; a zero byte ends them (spice-server inputs-channel.cpp).
        codes, _, _ = message.code.to_bytes(4, "little").partition(b"\0")
        return (Scancodes(codes),)

    def _on_key_scancode(self, message: inputs.KeyScancode, _now: float) -> Sequence[Event]:
        if not message.data:  # as spice-server, whose parser takes no message that is nothing but data and has none
            raise MalformedMessage("inputs.KeyScancode", "data", 0, "no scancode")
        if len(message.data) > MAX_SCANCODES:
            raise LimitExceeded(f"{self.name}: {len(message.data)} scancodes at once, the limit is {MAX_SCANCODES}")
        return (Scancodes(message.data),)

    def _on_key_modifiers(self, message: inputs.KeyModifiers, _now: float) -> Sequence[Event]:
        self._locks = self._told_locks = message.modifiers
        return (KeyModifiers(message.modifiers),)

    def _on_mouse_motion(self, message: inputs.MouseMotion, _now: float) -> Sequence[Event]:
        self._count_motion()
        return (MouseMotion(message.dx, message.dy, message.buttons_state),)

    def _on_mouse_position(self, message: inputs.MousePosition, _now: float) -> Sequence[Event]:
        self._count_motion()
        return (MousePosition(message.x, message.y, message.buttons_state, message.display_id),)

    def _count_motion(self) -> None:
        self._unacknowledged += 1
        if self._unacknowledged >= MOTION_ACK_BUNCH and not self.frozen:
            self._unacknowledged -= MOTION_ACK_BUNCH
            self.send(inputs.MouseMotionAck())

    def _on_mouse_press(self, message: inputs.MousePress, _now: float) -> Sequence[Event]:
        return (MousePress(message.button, message.buttons_state),)

    def _on_mouse_release(self, message: inputs.MouseRelease, _now: float) -> Sequence[Event]:
        return (MouseRelease(message.button, message.buttons_state),)

    handlers: ClassVar[Handlers] = {
        inputs.KeyDown: _on_key,
        inputs.KeyUp: _on_key,
        inputs.KeyScancode: _on_key_scancode,
        inputs.KeyModifiers: _on_key_modifiers,
        inputs.MouseMotion: _on_mouse_motion,
        inputs.MousePosition: _on_mouse_position,
        inputs.MousePress: _on_mouse_press,
        inputs.MouseRelease: _on_mouse_release,
    }
