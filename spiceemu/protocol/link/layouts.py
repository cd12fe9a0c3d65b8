"""The link: what travels on a connection before the first message, for all who write or read it.

Layouts (spice-protocol ``spice/protocol.h``), little-endian, packed::

    client                                    server
    header + link message     ----------->
                              <-----------    header + link reply
    [mechanism]  ticket       ----------->
                              <-----------    result; after 0 both sides send messages

    header            16 bytes        link message      18 bytes        link reply       178 bytes
     0  4  magic "REDQ"                0  u32  connection_id             0  u32  error
     4  u32  major                     4  u8   channel_type              4  162  pub_key
     8  u32  minor                     5  u8   channel_id              166  u32  num_common_caps
    12  u32  size of the rest          6  u32  num_common_caps         170  u32  num_channel_caps
                                      10  u32  num_channel_caps        174  u32  caps_offset
    mechanism  u32                    14  u32  caps_offset
    ticket     128 bytes              caps_offset: u32[num_common_caps], then u32[num_channel_caps]
    result     u32

``caps_offset`` counts from the start of the message or reply. The mechanism is only sent if both sides have
AUTH_SELECTION; it is the number of a common capability, and AUTH_SPICE is the one whose ticket follows.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from spiceemu.errors import InvalidData
from spiceemu.protocol.capabilities import has_capability
from spiceemu.protocol.limits import MAX_CAPABILITY_WORDS, MAX_LINK_SIZE
from spiceemu.protocol.link.ticket import PUBLIC_KEY_SIZE

if TYPE_CHECKING:
    from spiceemu.protocol.capabilities import Words

MAGIC = b"REDQ"
MAJOR = 2

HEADER = Struct("<4s3I")
HEADER_REST = Struct("<3I")  # the header without its magic, which is judged on its own
LINK_MESSAGE = Struct("<IBBIII")
LINK_REPLY = Struct(f"<I{PUBLIC_KEY_SIZE}sIII")
U32 = Struct("<I")
WORD_SIZE = 4


def agreed(capability: int, one_side: Words, other_side: Words) -> bool:
    """Tell whether both sides have a capability; one side alone changes nothing."""
    return has_capability(one_side, capability) and has_capability(other_side, capability)


def take(source: memoryview, buffer: bytearray, size: int) -> memoryview:
    """Move bytes from ``source`` until ``buffer`` holds ``size`` of them; return what is left of ``source``."""
    missing = size - len(buffer)
    buffer += source[:missing]
    return source[missing:]


def pack_words(words: Words) -> bytes:
    """Return capability words as they travel."""
    return Struct(f"<{len(words)}I").pack(*words)


def checked_size(where: str, size: int, least: int) -> int:
    """The size of what follows a header.

    :param where: name of what follows, for errors.
    :param least: the size of its fixed part.
    :returns: the size.
    :raises InvalidData: it is below ``least`` or over ``MAX_LINK_SIZE``.
    """
    if not least <= size <= MAX_LINK_SIZE:
        raise InvalidData(f"{where}: size {size} is not within {least} and MAX_LINK_SIZE {MAX_LINK_SIZE}")
    return size


def read_capabilities(
    where: str, body: bytes, fixed: int, common: int, channel: int, offset: int
) -> tuple[Words, Words]:
    """Read both capability lists of a link message or reply.

    :param where: name of the body, for errors.
    :param body: all of it, from the first byte after the header.
    :param fixed: size of its fixed part; the lists may not lie before its end. Without a word ``offset`` is not read.
    :returns: the common words, then the channel words.
    :raises InvalidData: a count is over ``MAX_CAPABILITY_WORDS`` or the lists do not lie inside the body.
    """
    if common > MAX_CAPABILITY_WORDS or channel > MAX_CAPABILITY_WORDS:
        raise InvalidData(
            f"{where}: {common} common and {channel} channel words, at most MAX_CAPABILITY_WORDS {MAX_CAPABILITY_WORDS}"
        )
    total = common + channel
    if total and not fixed <= offset <= len(body) - WORD_SIZE * total:
        raise InvalidData(f"{where}: caps_offset {offset} with {total} words does not lie in {fixed}..{len(body)}")
    words = Struct(f"<{total}I").unpack_from(body, offset) if total else ()
    return words[:common], words[common:]
