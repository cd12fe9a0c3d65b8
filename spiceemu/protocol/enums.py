"""Enumerations and flags of spice.proto, with its names.

Flags are masks, not the bit numbers that spice.proto counts in. A name that would begin with a digit carries the
type's short form before it (``FMT_32BIT``). ``MouseButton`` and ``MouseButtonMask`` have the side buttons of the later
protocol headers.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class LinkErr(IntEnum):
    """Result of a link, and why a side disconnects."""

    OK = 0
    ERROR = 1
    INVALID_MAGIC = 2
    INVALID_DATA = 3
    VERSION_MISMATCH = 4
    NEED_SECURED = 5
    NEED_UNSECURED = 6
    PERMISSION_DENIED = 7
    BAD_CONNECTION_ID = 8
    CHANNEL_NOT_AVAILABLE = 9


class WarnCode(IntEnum):
    """What a warning notification is about."""

    WARN_GENERAL = 0


class InfoCode(IntEnum):
    """What an informing notification is about."""

    INFO_GENERAL = 0


class MigrateFlags(IntFlag):
    """What a channel does around its migration."""

    NEED_FLUSH = 1
    NEED_DATA_TRANSFER = 2


class CompositeFlags(IntFlag):
    """How DRAW_COMPOSITE combines its pictures; OP bits hold a pixman operator."""

    OP0 = 1
    OP1 = 2
    OP2 = 4
    OP3 = 8
    OP4 = 16
    OP5 = 32
    OP6 = 64
    OP7 = 128
    SRC_FILTER0 = 256
    SRC_FILTER1 = 512
    SRC_FILTER2 = 1024
    MASK_FILTER0 = 2048
    MASK_FITLER1 = 4096
    MASK_FILTER2 = 8192
    SRC_REPEAT0 = 16384
    SRC_REPEAT1 = 32768
    MASK_REPEAT0 = 65536
    MASK_REPEAT1 = 131072
    COMPONENT_ALPHA = 262144
    HAS_MASK = 524288
    HAS_SRC_TRANSFORM = 1048576
    HAS_MASK_TRANSFORM = 2097152
    SOURCE_OPAQUE = 4194304
    MASK_OPAQUE = 8388608
    DEST_OPAQUE = 16777216


class NotifySeverity(IntEnum):
    """How bad a notification is."""

    INFO = 0
    WARN = 1
    ERROR = 2


class NotifyVisibility(IntEnum):
    """How loudly to show a notification."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


class MouseMode(IntFlag):
    """Who moves the pointer: the server by motions, the client by positions."""

    SERVER = 1
    CLIENT = 2


class DataCompressionType(IntEnum):
    """Compression of a spicevmc packet."""

    NONE = 0
    LZ4 = 1


class ClipType(IntEnum):
    """How a drawing is clipped."""

    NONE = 0
    RECTS = 1


class PathFlags(IntFlag):
    """What a segment of a stroked path does."""

    BEGIN = 1
    END = 2
    CLOSE = 8
    BEZIER = 16


class VideoCodecType(IntEnum):
    """Codec of a video stream."""

    MJPEG = 1
    VP8 = 2
    H264 = 3
    VP9 = 4
    H265 = 5


class StreamFlags(IntFlag):
    """Order of a stream's rows."""

    TOP_DOWN = 1


class BrushType(IntEnum):
    """What fills: nothing, a colour or a pattern."""

    NONE = 0
    SOLID = 1
    PATTERN = 2


class MaskFlags(IntFlag):
    """How a mask is read."""

    INVERS = 1


class ImageType(IntEnum):
    """How an image is encoded."""

    BITMAP = 0
    QUIC = 1
    RESERVED = 2
    LZ_PLT = 100
    LZ_RGB = 101
    GLZ_RGB = 102
    FROM_CACHE = 103
    SURFACE = 104
    JPEG = 105
    FROM_CACHE_LOSSLESS = 106
    ZLIB_GLZ_RGB = 107
    JPEG_ALPHA = 108
    LZ4 = 109


class ImageCompression(IntEnum):
    """What a client prefers images to be encoded with."""

    INVALID = 0
    OFF = 1
    AUTO_GLZ = 2
    AUTO_LZ = 3
    QUIC = 4
    GLZ = 5
    LZ = 6
    LZ4 = 7


class ImageFlags(IntFlag):
    """What a client does with an image besides drawing it."""

    CACHE_ME = 1
    HIGH_BITS_SET = 2
    CACHE_REPLACE_ME = 4


class BitmapFmt(IntEnum):
    """Pixel format of an uncompressed image."""

    INVALID = 0
    FMT_1BIT_LE = 1
    FMT_1BIT_BE = 2
    FMT_4BIT_LE = 3
    FMT_4BIT_BE = 4
    FMT_8BIT = 5
    FMT_16BIT = 6
    FMT_24BIT = 7
    FMT_32BIT = 8
    RGBA = 9
    FMT_8BIT_A = 10


class BitmapFlags(IntFlag):
    """Rows and palette of an uncompressed image."""

    PAL_CACHE_ME = 1
    PAL_FROM_CACHE = 2
    TOP_DOWN = 4


class JpegAlphaFlags(IntFlag):
    """Order of rows in a JPEG with alpha."""

    TOP_DOWN = 1


class ImageScaleMode(IntEnum):
    """How a picture is scaled to its place."""

    INTERPOLATE = 0
    NEAREST = 1


class Ropd(IntFlag):
    """Raster operation of source, brush and destination."""

    INVERS_SRC = 1
    INVERS_BRUSH = 2
    INVERS_DEST = 4
    OP_PUT = 8
    OP_OR = 16
    OP_AND = 32
    OP_XOR = 64
    OP_BLACKNESS = 128
    OP_WHITENESS = 256
    OP_INVERS = 512
    INVERS_RES = 1024


class LineFlags(IntFlag):
    """Dashes of a stroked line."""

    STYLED = 8
    START_WITH_GAP = 4


class StringFlags(IntFlag):
    """Depth and order of a text's glyph rasters."""

    RASTER_A1 = 1
    RASTER_A4 = 2
    RASTER_A8 = 4
    RASTER_TOP_DOWN = 8


class SurfaceFlags(IntFlag):
    """What a surface is for."""

    PRIMARY = 1
    STREAMING_MODE = 2


class SurfaceFmt(IntEnum):
    """Pixel format of a surface."""

    INVALID = 0
    FMT_1_A = 1
    FMT_8_A = 8
    FMT_16_555 = 16
    FMT_16_565 = 80
    FMT_32_XRGB = 32
    FMT_32_ARGB = 96


class AlphaFlags(IntFlag):
    """Which sides of an alpha blend have alpha."""

    DEST_HAS_ALPHA = 1
    SRC_SURFACE_HAS_ALPHA = 2


class ResourceType(IntEnum):
    """What a client is told to forget."""

    INVALID = 0
    PIXMAP = 1


class GlScanoutFlags(IntFlag):
    """Order of a GL scanout's rows."""

    Y0TOP = 1


class KeyboardModifierFlags(IntFlag):
    """Locks of the keyboard."""

    SCROLL_LOCK = 1
    NUM_LOCK = 2
    CAPS_LOCK = 4


class MouseButton(IntEnum):
    """One button, as pressed or released."""

    INVALID = 0
    LEFT = 1
    MIDDLE = 2
    RIGHT = 3
    UP = 4
    DOWN = 5
    SIDE = 6
    EXTRA = 7


class MouseButtonMask(IntFlag):
    """All buttons that are down."""

    LEFT = 1
    MIDDLE = 2
    RIGHT = 4
    UP = 8
    DOWN = 16
    SIDE = 32
    EXTRA = 64


class CursorType(IntEnum):
    """Format of a cursor's picture."""

    ALPHA = 0
    MONO = 1
    COLOR4 = 2
    COLOR8 = 3
    COLOR16 = 4
    COLOR24 = 5
    COLOR32 = 6


class CursorFlags(IntFlag):
    """Whether a cursor is drawn, cached or taken from the cache."""

    NONE = 1
    CACHE_ME = 2
    FROM_CACHE = 4


class AudioDataMode(IntEnum):
    """Encoding of sound."""

    INVALID = 0
    RAW = 1
    CELT_0_5_1 = 2
    OPUS = 3


class AudioFmt(IntEnum):
    """Format of a sound sample."""

    INVALID = 0
    S16 = 1


class VscMessageType(IntEnum):
    """What a smartcard message says."""

    INIT = 1
    ERROR = 2
    READER_ADD = 3
    READER_REMOVE = 4
    ATR = 5
    CARD_REMOVE = 6
    APDU = 7
    FLUSH = 8
    FLUSH_COMPLETE = 9
