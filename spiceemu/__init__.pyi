from spiceemu._version import __version__ as __version__
from spiceemu.channels.tap import MessageTap as MessageTap
from spiceemu.client import Client as Client, ClientChannel as ClientChannel
from spiceemu.drawing.pictures import Picture as Picture
from spiceemu.errors import (
    AddressUnavailable as AddressUnavailable,
    BadConnectionId as BadConnectionId,
    ChannelNotAvailable as ChannelNotAvailable,
    ExpectationFailed as ExpectationFailed,
    HangUp as HangUp,
    IllegalMessage as IllegalMessage,
    InvalidData as InvalidData,
    InvalidMagic as InvalidMagic,
    InvalidValue as InvalidValue,
    LimitExceeded as LimitExceeded,
    LinkError as LinkError,
    LocalError as LocalError,
    MalformedImage as MalformedImage,
    MalformedMessage as MalformedMessage,
    MalformedRecording as MalformedRecording,
    MalformedSnapshot as MalformedSnapshot,
    MigrationAborted as MigrationAborted,
    MissingExtra as MissingExtra,
    NeedSecured as NeedSecured,
    NeedUnsecured as NeedUnsecured,
    NotCompatible as NotCompatible,
    PermissionDenied as PermissionDenied,
    RemoteError as RemoteError,
    SpiceError as SpiceError,
    UnknownMessage as UnknownMessage,
    VersionMismatch as VersionMismatch,
    WrongState as WrongState,
)
from spiceemu.events import (
    AgentMessage as AgentMessage,
    AgentStarted as AgentStarted,
    ChannelClosed as ChannelClosed,
    ChannelOpened as ChannelOpened,
    ChannelsAttached as ChannelsAttached,
    ClientArrived as ClientArrived,
    ClipboardText as ClipboardText,
    Disconnected as Disconnected,
    DisplayReady as DisplayReady,
    Event as Event,
    KeyDown as KeyDown,
    KeyModifiers as KeyModifiers,
    KeyUp as KeyUp,
    Latency as Latency,
    MigrationBegan as MigrationBegan,
    MigrationConnected as MigrationConnected,
    MigrationFailed as MigrationFailed,
    MonitorsRequested as MonitorsRequested,
    MouseModeRequested as MouseModeRequested,
    MouseMotion as MouseMotion,
    MousePosition as MousePosition,
    MousePress as MousePress,
    MouseRelease as MouseRelease,
    PreferredCompression as PreferredCompression,
    PreferredVideoCodecs as PreferredVideoCodecs,
    RequestRefused as RequestRefused,
    ServerFailed as ServerFailed,
    Violation as Violation,
)
from spiceemu.guest.cursor import CursorShape as CursorShape
from spiceemu.guest.display import Display as Display, Head as Head, Screenshot as Screenshot
from spiceemu.guest.machine import Guest as Guest
from spiceemu.judge.stream import StreamJudge as StreamJudge
from spiceemu.probing.probe import probe as probe
from spiceemu.protocol.capabilities import ChannelType as ChannelType
from spiceemu.protocol.enums import MouseMode as MouseMode
from spiceemu.protocol.levels.compat import (
    FEATURES_MASK_V04 as FEATURES_MASK_V04,
    FEATURES_MASK_V06 as FEATURES_MASK_V06,
    FEATURES_MASK_V08 as FEATURES_MASK_V08,
    CompatVersion as CompatVersion,
    Feature as Feature,
)
from spiceemu.protocol.levels.level import (
    MigrationScheme as MigrationScheme,
    get_current_compat_version as get_current_compat_version,
    get_supported_features as get_supported_features,
)
from spiceemu.protocol.link.observer import LinkObserver as LinkObserver
from spiceemu.protocol.link.steps import LinkStep as LinkStep
from spiceemu.protocol.messages.catalogue import messages as messages
from spiceemu.recordings.recorder import Recorder as Recorder
from spiceemu.recordings.recording import (
    ClientBytes as ClientBytes,
    Recording as Recording,
    RecordingReader as RecordingReader,
    ServerBytes as ServerBytes,
    read_recording as read_recording,
)
from spiceemu.recordings.relay import (
    Relay as Relay,
    RelayObserver as RelayObserver,
    Target as Target,
    parse_target as parse_target,
)
from spiceemu.server import SpiceServer as SpiceServer
from spiceemu.serving.moving import Moved as Moved
from spiceemu.serving.options import Limits as Limits, Tls as Tls
from spiceemu.serving.tls import server_context as server_context, throwaway_certificate as throwaway_certificate
from spiceemu.serving.wiretap import (
    Delay as Delay,
    EndConnection as EndConnection,
    ResetConnection as ResetConnection,
    Stall as Stall,
    Wire as Wire,
    WireTap as WireTap,
)
from spiceemu.sessions.destination import Destination as Destination
from spiceemu.sessions.tables import Tables as Tables
