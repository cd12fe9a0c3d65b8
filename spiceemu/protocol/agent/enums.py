"""Enumerations and flags of the agent's messages (spice-protocol ``spice/vd_agent.h``), without ``VD_AGENT``."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class AgentType(IntEnum):
    """What an agent message is."""

    MOUSE_STATE = 1
    MONITORS_CONFIG = 2
    REPLY = 3
    CLIPBOARD = 4
    DISPLAY_CONFIG = 5
    ANNOUNCE_CAPABILITIES = 6
    CLIPBOARD_GRAB = 7
    CLIPBOARD_REQUEST = 8
    CLIPBOARD_RELEASE = 9
    FILE_XFER_START = 10
    FILE_XFER_STATUS = 11
    FILE_XFER_DATA = 12
    CLIENT_DISCONNECTED = 13
    MAX_CLIPBOARD = 14
    AUDIO_VOLUME_SYNC = 15
    GRAPHICS_DEVICE_INFO = 16


class AgentCap(IntEnum):
    """What one side of the conversation can do."""

    MOUSE_STATE = 0
    MONITORS_CONFIG = 1
    REPLY = 2
    CLIPBOARD = 3
    DISPLAY_CONFIG = 4
    CLIPBOARD_BY_DEMAND = 5
    CLIPBOARD_SELECTION = 6
    SPARSE_MONITORS_CONFIG = 7
    GUEST_LINEEND_LF = 8
    GUEST_LINEEND_CRLF = 9
    MAX_CLIPBOARD = 10
    AUDIO_VOLUME_SYNC = 11
    MONITORS_CONFIG_POSITION = 12
    FILE_XFER_DISABLED = 13
    FILE_XFER_DETAILED_ERRORS = 14
    GRAPHICS_DEVICE_INFO = 15
    CLIPBOARD_NO_RELEASE_ON_REGRAB = 16
    CLIPBOARD_GRAB_SERIAL = 17


class AgentResult(IntEnum):
    """How a request went."""

    SUCCESS = 1
    ERROR = 2


class ClipboardType(IntEnum):
    """What a clipboard holds; NONE as the answer to a request refuses it."""

    NONE = 0
    UTF8_TEXT = 1
    IMAGE_PNG = 2
    IMAGE_BMP = 3
    IMAGE_TIFF = 4
    IMAGE_JPG = 5
    FILE_LIST = 6


class ClipboardSelection(IntEnum):
    """Which of X's clipboards; other systems have the first only."""

    CLIPBOARD = 0
    PRIMARY = 1
    SECONDARY = 2


class MonitorsFlags(IntFlag):
    """What a MONITORS_CONFIG has besides sizes."""

    USE_POS = 1
    PHYSICAL_SIZE = 2


class DisplayConfigFlags(IntFlag):
    """What the guest is asked to do without."""

    DISABLE_WALLPAPER = 1
    DISABLE_FONT_SMOOTH = 2
    DISABLE_ANIMATION = 4
    SET_COLOR_DEPTH = 8


class AgentButtonMask(IntFlag):
    """Mouse buttons that are down: MouseButtonMask moved up by one bit."""

    LEFT = 2
    MIDDLE = 4
    RIGHT = 8
    UP = 16
    DOWN = 32
    SIDE = 64
    EXTRA = 128


class FileXferResult(IntEnum):
    """State of a file transfer."""

    CAN_SEND_DATA = 0
    CANCELLED = 1
    ERROR = 2
    SUCCESS = 3
    NOT_ENOUGH_SPACE = 4
    SESSION_LOCKED = 5
    VDAGENT_NOT_CONNECTED = 6
    DISABLED = 7
