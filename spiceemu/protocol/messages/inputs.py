"""Messages of the inputs channel (spice.proto, InputsChannel)."""

from __future__ import annotations

from construct import GreedyBytes, Int8ul, Int16ul, Int32sl, Int32ul

from spiceemu.protocol.capabilities import ChannelType, InputsCap
from spiceemu.protocol.enums import KeyboardModifierFlags, MouseButton, MouseButtonMask
from spiceemu.protocol.layout.fields import EnumOf, FlagsOf, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.message import Message, message

INPUTS = ChannelType.INPUTS


@message(INPUTS, server=101, feature=Feature.PROTOCOL_MAJOR2)
class Init(Message):
    """The first message: the keyboard's locks."""

    keyboard_modifiers: int = wire(FlagsOf(Int16ul, KeyboardModifierFlags))


@message(INPUTS, server=102, client=103, feature=Feature.PROTOCOL_MAJOR2)
class KeyModifiers(Message):
    """The keyboard's locks have changed, or shall."""

    modifiers: int = wire(FlagsOf(Int16ul, KeyboardModifierFlags))


@message(INPUTS, server=111, feature=Feature.PROTOCOL_MAJOR2)
class MouseMotionAck(Message):
    """Four motions or positions have arrived."""


@message(INPUTS, client=101, feature=Feature.PROTOCOL_MAJOR2)
class KeyDown(Message):
    """Keys go down: up to four bytes of PC AT scancode set 1, lowest byte first."""

    code: int = wire(Int32ul)


@message(INPUTS, client=102, feature=Feature.PROTOCOL_MAJOR2)
class KeyUp(Message):
    """Keys go up: as KEY_DOWN, the release codes."""

    code: int = wire(Int32ul)


@message(INPUTS, client=104, capability=InputsCap.KEY_SCANCODE, feature=Feature.KEY_SCANCODE)
class KeyScancode(Message):
    """Any number of bytes of PC AT scancode set 1."""

    data: bytes = wire(GreedyBytes)


@message(INPUTS, client=111, feature=Feature.PROTOCOL_MAJOR2)
class MouseMotion(Message):
    """The mouse moved by so many steps (server mouse mode)."""

    dx: int = wire(Int32sl)
    dy: int = wire(Int32sl)
    buttons_state: int = wire(FlagsOf(Int16ul, MouseButtonMask))


@message(INPUTS, client=112, feature=Feature.PROTOCOL_MAJOR2)
class MousePosition(Message):
    """The pointer is there, in pixels of a display (client mouse mode)."""

    x: int = wire(Int32ul)
    y: int = wire(Int32ul)
    buttons_state: int = wire(FlagsOf(Int16ul, MouseButtonMask))
    display_id: int = wire(Int8ul)


@message(INPUTS, client=113, feature=Feature.PROTOCOL_MAJOR2)
class MousePress(Message):
    """A button goes down."""

    button: int = wire(EnumOf(Int8ul, MouseButton))
    buttons_state: int = wire(FlagsOf(Int16ul, MouseButtonMask))


@message(INPUTS, client=114, feature=Feature.PROTOCOL_MAJOR2)
class MouseRelease(Message):
    """A button goes up."""

    button: int = wire(EnumOf(Int8ul, MouseButton))
    buttons_state: int = wire(FlagsOf(Int16ul, MouseButtonMask))
