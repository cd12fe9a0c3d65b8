"""What spiceemu itself serves, apart from what it knows: read from its tables, and from its source where there is none.

A message that some channel or session makes is one that is sent; the calls of message classes are found in the text of
the rooms that talk to clients.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from spiceemu.channels.channel import Channel
from spiceemu.channels.table import CHANNELS
from spiceemu.codecs.table import CODECS
from spiceemu.protocol.capabilities import ChannelType, type_name
from spiceemu.protocol.enums import ImageType
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER
from spiceemu.protocol.messages.message import Message

PACKAGE = Path(__file__).resolve().parent.parent / "spiceemu"
TALKING = ("channels", "sessions")
"""The rooms that make messages for clients."""

MESSAGES = "spiceemu.protocol.messages"

CHANNEL_TYPES = frozenset(row.type for row in CHANNELS)
"""The channel types that have a class."""


def _trees() -> Iterator[ast.Module]:
    for room in TALKING:
        for path in sorted((PACKAGE / room).glob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def made_in(tree: ast.Module) -> set[type[Message]]:
    """The classes of messages that a module calls, as ``display.Mark()`` or, imported by name, ``Mark()``."""
    known: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(MESSAGES):
            for alias in node.names:
                home = importlib.import_module(node.module)
                at_hand = alias.asname or alias.name
                if node.module == MESSAGES:
                    known[at_hand] = importlib.import_module(f"{MESSAGES}.{alias.name}")
                else:
                    known[at_hand] = getattr(home, alias.name)
    called: set[object] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(module), attr=name)) if module in known:
                called.add(getattr(known[module], name, None))
            case ast.Call(func=ast.Name(name)):
                called.add(known.get(name))
    return {each for each in called if isinstance(each, type) and issubclass(each, Message)}


def image_types() -> set[int]:
    """The kinds of pictures that are made: by codecs, and by channels of what a client has already."""
    made: set[int] = {codec.image_type for codec in CODECS if codec.encode is not None}
    for tree in _trees():
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=ast.Name("ImageType"), attr=name):
                    made.add(ImageType[name])
    return made


def messages() -> Iterator[tuple[str, ChannelType | None, Sequence[type[Message]], Sequence[type[Message]]]]:
    """What is sent and heard.

    :returns: a title, the channel type or None for what is on every channel, what is sent there, and what is heard.
    """
    made = {kind for tree in _trees() for kind in made_in(tree) if SERVER in kind.spec.ids}
    yield (
        "every channel",
        None,
        _sorted({kind for kind in made if len(kind.spec.channels) > 1}, SERVER),
        _sorted(set(Channel.base_handlers), CLIENT),
    )
    for row in sorted(CHANNELS, key=lambda each: each.type):
        own = {kind for kind in made if tuple(kind.spec.channels) == (row.type,)}
        yield type_name(row.type), row.type, _sorted(own, SERVER), _sorted(set(row.kind.handlers), CLIENT)


def _sorted(kinds: set[type[Message]], direction: str) -> list[type[Message]]:
    return sorted(kinds, key=lambda kind: kind.spec.ids[direction])
