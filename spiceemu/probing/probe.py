"""Looks at a SPICE server from outside, to tell which level it is like.

::

    report = await probe("127.0.0.1", 5930)
    print(report.exact or report.nearest)

A probe is a client: it opens a session, links every channel that is listed, and then asks for what a server refuses,
as levels differ in how. Real servers drop the client they have when another one comes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from spiceemu.errors import AddressUnavailable, IllegalMessage, InvalidValue, LimitExceeded, LinkError, RemoteError
from spiceemu.probing.connection import MAX_RECEIVED, ProbeConnection
from spiceemu.probing.likeness import (
    ACCEPTED,
    FULL,
    MINI,
    SILENCE,
    Answer,
    ChannelAnswer,
    LinkPlace,
    Outcome,
    ProbeReport,
    Question,
    client_words,
)
from spiceemu.protocol.capabilities import ChannelType, CommonCap, has_capability
from spiceemu.protocol.enums import LinkErr
from spiceemu.protocol.framing import FULL_HEADER, MINI_HEADER, FrameReader, FrameWriter
from spiceemu.protocol.limits import MAX_LINK_SIZE
from spiceemu.protocol.link.client import CLIENT_VERSION, ClientLink, ClientLinkState, refusal_of
from spiceemu.protocol.link.layouts import HEADER, LINK_REPLY, MAGIC, MAJOR
from spiceemu.protocol.link.ticket import TICKET_SIZE, password_bytes
from spiceemu.protocol.messages import base, catalogue, display, main
from spiceemu.protocol.messages.message import CLIENT, SERVER
from spiceemu.serving.listeners import check_host, reason_of, show_address

if TYPE_CHECKING:
    import ssl

    from spiceemu.protocol.capabilities import Words

ANSWER_TIMEOUT = 5.0
"""Seconds that a server has for each answer, unless told otherwise."""

LEAVE_TIMEOUT = 2.0
"""Seconds that a server has to close all channels behind us."""

MAX_STALLS = 2
"""Questions that may stay without an answer; one more ends the probe, so that it does not wait all day."""

MAX_CHANNELS = 64
"""Channels that a server may list; QEMU has a dozen."""

WRONG_ID = 255
"""The id of a display that nobody has."""

WRONG_MECHANISM = 77
WRONG_MAGIC = b"QDER"
WRONG_SIZE = 17
"""One byte less than a link message has."""

CACHE_SIZE = 1 << 20
"""Pixels of the caches that a display channel is told of."""

INIT_ID, INIT_SIZE = main.Init.spec.ids[SERVER], 32

PLACES = {
    ClientLinkState.REPLY: LinkPlace.REPLY,
    ClientLinkState.RESULT: LinkPlace.RESULT,
    ClientLinkState.REFUSAL: LinkPlace.SECOND_REPLY,
}


async def probe(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    unix_path: str | None = None,
    tls: ssl.SSLContext | None = None,
    password: str | bytes = "",
    timeout: float = ANSWER_TIMEOUT,
) -> ProbeReport:
    """Measure a SPICE server.

    It replaces the client that is connected, as real servers drop the old one for the new.

    Channels that are not listed are only asked for where a display that is not there is refused without a word. Some
    releases that refuse otherwise end with an assertion when they are asked for a type that they do not have.

    :param port: where it listens, over TLS if ``tls`` is given.
    :param unix_path: its unix socket, instead of host and port.
    :param tls: the context to connect with, such as ``ssl.create_default_context(cafile=...)``.
    :param password: what the ticket holds; empty for none.
    :param timeout: seconds that the server has for each answer. All of a probe takes at most some thirty times as long.
    :returns: what was measured: link, channels and their words, and the levels that it is like.
    :raises InvalidValue: neither a port nor a unix socket is given, or both are, or one with TLS; or the host can have
        no such name, or the password fits no ticket.
    :raises AddressUnavailable: nobody answers there, or TLS fails.
    :raises RemoteError: it is no SPICE server, does not let us in, breaks the protocol, stalls, or sends more than
        ``MAX_RECEIVED`` or ``MAX_CHANNELS``; the text says which.
    """
    if (port is None) == (unix_path is None):
        raise InvalidValue("a probe needs either a port or a unix socket")
    if unix_path is not None and tls is not None:
        raise InvalidValue("no server speaks TLS on a unix socket")
    check_host(host)
    return await _Probe(host, port, unix_path, tls, password_bytes(password), timeout).run()


class _Probe:
    """One run of :func:`probe`."""

    def __init__(
        self,
        host: str,
        port: int | None,
        unix_path: str | None,
        tls: ssl.SSLContext | None,
        password: bytes,
        timeout: float,
    ) -> None:
        self.address = unix_path if port is None else show_address(host, port)
        self._host = host
        self._port = port
        self._unix_path = unix_path
        self._tls = tls
        self._password = password
        self._timeout = timeout
        self._stalls = 0
        self._wires: list[ProbeConnection] = []
        self._channels: list[ProbeConnection] = []
        """Those that were accepted, in the order of their links; main is the first."""
        self._session_id = 0

    async def run(self) -> ProbeReport:
        """Ask everything."""
        try:
            return await self._run()
        except RemoteError as error:
            error.args = (f"{self.address}: {error}",)
            raise
        finally:
            await self._leave()

    async def _run(self) -> ProbeReport:
        first, header, listed = await self._open_session()
        channels = [ChannelAnswer(ChannelType.MAIN, 0, first)]
        for kind, number in listed:
            channels.append(ChannelAnswer(kind, number, await self._ask_for(kind, number)))
        refusals = {}
        for question in Question:
            if question is Question.MECHANISM and not has_capability(first.common, CommonCap.PROTOCOL_AUTH_SELECTION):
                continue  # where no mechanism is read it would be taken for the start of the ticket
            refusals[question] = await self._ask(*self._question(question))
        missing: list[ChannelType] = []
        if refusals[Question.DISPLAY].outcome == SILENCE:
            there = {ChannelType.MAIN, *(kind for kind, _ in listed)}
            missing = [kind for kind in ChannelType if kind not in there]
        unlisted = [ChannelAnswer(kind, 0, await self._ask_for(kind, 0)) for kind in missing]
        channels.sort(key=lambda each: (each.type, each.id))  # in which order they are listed is no difference
        return ProbeReport(str(self.address), header, tuple(channels), tuple(unlisted), refusals)

    async def _leave(self) -> None:
        """Close every channel, main last, each when the server has closed the one before.

        So the server is done with every channel while it still has the client. QEMU with spice-server 0.15.1, which
        makes displays and cursors in another thread, crashed now and then when the client was gone before that.
        """
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT):
                for wire in reversed(self._channels):
                    await wire.leave()
        except TimeoutError:
            pass
        finally:
            for wire in self._wires:
                wire.close()
            await asyncio.sleep(0)  # the transports close in the next turn

    # Links

    async def _connect(self) -> ProbeConnection:
        """A new connection, within the time for one answer.

        :raises AddressUnavailable: nobody answers, or TLS fails.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                if self._unix_path is not None:
                    _, wire = await loop.create_unix_connection(ProbeConnection, self._unix_path)
                else:
                    assert self._port is not None
                    _, wire = await loop.create_connection(ProbeConnection, self._host, self._port, ssl=self._tls)
        except TimeoutError:
            text = f"cannot connect to {self.address}: no answer in {self._timeout:g} s"
            raise AddressUnavailable(text) from None
        except OSError as error:  # those of TLS as well
            raise AddressUnavailable(f"cannot connect to {self.address}: {reason_of(error)}") from error
        self._wires.append(wire)
        return wire

    async def _ask_for(self, kind: int, number: int) -> Answer:
        """Ask for a channel of our session."""
        link = self._link(kind, number, connection_id=self._session_id, words=client_words(kind))
        answer = await self._ask(link)
        if answer.outcome == ACCEPTED and kind == ChannelType.DISPLAY:
            # A real server waits for it, and lets nothing else happen on that display and its cursor.
            writer = FrameWriter(mini=link.mini_header, direction=CLIENT)
            self._channels[-1].send(b"".join(writer.frame(display.Init(1, CACHE_SIZE, 1, CACHE_SIZE))))
        return answer

    async def _ask(self, link: ClientLink, first: bytes = b"", garbled: bool = False) -> Answer:
        """Ask for a link; a channel that we get stays open until the end, as a client's do.

        :param first: bytes to begin with instead of the link's own.
        :param garbled: whether to send a ticket that does not decrypt.
        :raises LimitExceeded: after ``MAX_STALLS`` questions this one also stays without an answer.
        :raises RemoteError: the answer is none of the protocol's.
        """
        wire = await self._connect()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._complete(wire, link, first, garbled)
        except TimeoutError:
            answer = Answer(Outcome(LinkPlace.STALL))
            self._stalls += 1
            if self._stalls > MAX_STALLS:
                text = f"no answer in {self._timeout:g} s to more than MAX_STALLS {MAX_STALLS} questions"
                raise LimitExceeded(text) from None
        wire.ignoring = True
        if answer.outcome == ACCEPTED:
            self._channels.append(wire)
        else:
            wire.close()
        return answer

    async def _complete(self, wire: ProbeConnection, link: ClientLink, first: bytes, garbled: bool) -> Answer:
        """Send and receive until a link has ended, one way or the other."""
        received = b""
        data = first or link.data_to_send()
        link.data_to_send()
        outcome = ACCEPTED
        while not link.linked:
            wire.send(data[:-TICKET_SIZE] + bytes(TICKET_SIZE) if garbled and received and data else data)
            piece = await wire.read()
            if not piece:
                outcome = Outcome(LinkPlace.CUT) if received else SILENCE
                break
            received += piece[: HEADER.size + MAX_LINK_SIZE - len(received)]
            try:
                link.receive_data(piece)
            except LinkError as error:
                if link.refusal is None:
                    raise _not_spice(error, received) from error
                state, code = link.refusal
                outcome = Outcome(PLACES[state], code)
                break
            data = link.data_to_send()
        if len(received) < HEADER.size + LINK_REPLY.size:
            return Answer(outcome)
        _, major, minor, size = HEADER.unpack_from(received)
        key = LINK_REPLY.unpack_from(received, HEADER.size)[1]
        words = link.server_common_capabilities, link.server_channel_capabilities
        return Answer(outcome, (major, minor), size, any(key), *words)

    def _link(
        self,
        kind: int,
        number: int,
        *,
        connection_id: int,
        words: Words = (),
        password: bytes | None = None,
        mechanism: int | None = None,
        major: int = MAJOR,
    ) -> ClientLink:
        return ClientLink(
            kind,
            number,
            connection_id=connection_id,
            channel_capabilities=words,
            password=self._password if password is None else password,
            mechanism=mechanism,
            version=(major, CLIENT_VERSION[1]),
        )

    def _question(self, question: Question) -> tuple[ClientLink, bytes, bool]:
        """The link that asks a question, what it begins with instead of its own bytes, whether its ticket is garbled.

        What is judged before the session asks for one that is not there, so that no server lets it in.
        """
        nobody = (self._session_id + 1) & 0xFFFFFFFF or 1
        link, first = self._link(ChannelType.DISPLAY, 0, connection_id=nobody), b""
        match question:
            case Question.MAGIC:
                first = HEADER.pack(WRONG_MAGIC, *CLIENT_VERSION, 0)
            case Question.SIZE:
                first = HEADER.pack(MAGIC, *CLIENT_VERSION, WRONG_SIZE)
            case Question.MAJOR_0 | Question.MAJOR_1 | Question.MAJOR_3:
                link = self._link(ChannelType.DISPLAY, 0, connection_id=nobody, major=int(question.value[-1]))
            case Question.DISPLAY:
                link = self._link(ChannelType.DISPLAY, WRONG_ID, connection_id=self._session_id)
            case Question.MECHANISM:
                link = self._link(ChannelType.DISPLAY, 0, connection_id=nobody, mechanism=WRONG_MECHANISM)
            case Question.PASSWORD:
                link = self._link(ChannelType.DISPLAY, 0, connection_id=nobody, password=b"")
        return link, first, question is Question.TICKET

    # Main

    async def _open_session(self) -> tuple[Answer, str, list[tuple[int, int]]]:
        """Link main as a new client: the answer, the header of its messages, and the channels that it lists."""
        link = self._link(ChannelType.MAIN, 0, connection_id=0, words=client_words(ChannelType.MAIN))
        wire = await self._connect()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._complete(wire, link, b"", False)
                if answer.outcome != ACCEPTED:
                    raise _not_let_in(answer.outcome, password=bool(self._password))
                self._channels.append(wire)
                header, listed = await self._read_main(wire, link.leftover)
        except TimeoutError:
            raise LimitExceeded(f"no answer on the main channel in {self._timeout:g} s") from None
        wire.ignoring = True
        return answer, header, listed

    async def _read_main(self, wire: ProbeConnection, received: bytes) -> tuple[str, list[tuple[int, int]]]:
        """Read until the channels are listed, and ask for the list as soon as there is a session."""
        while len(received) < FULL_HEADER.size:
            received += await self._more(wire)
        header = _header_of(received)
        reader = FrameReader(mini=header == MINI, max_body=MAX_RECEIVED)
        writer = FrameWriter(mini=header == MINI, direction=CLIENT)
        while True:
            for number, body, _ in reader.receive_data(received):
                kind = catalogue.messages_of(ChannelType.MAIN, SERVER).get(number)
                if kind is main.Init:
                    self._session_id = main.Init.parse(body).session_id
                    wire.send(b"".join(writer.frame(main.AttachChannels())))
                elif kind is base.Ping:
                    ping = base.Ping.parse(body)
                    wire.send(b"".join(writer.frame(base.Pong(ping.id, ping.timestamp))))
                elif kind is main.ChannelsList:
                    return header, _listed(main.ChannelsList.parse(body))
            received = await self._more(wire)

    async def _more(self, wire: ProbeConnection) -> bytes:
        piece = await wire.read()
        if not piece:
            raise IllegalMessage("it closes main before it has listed the channels")
        return piece


def _listed(message: main.ChannelsList) -> list[tuple[int, int]]:
    if len(message.channels) > MAX_CHANNELS:
        raise LimitExceeded(f"it lists {len(message.channels)} channels, at most MAX_CHANNELS {MAX_CHANNELS}")
    return [(each.type, each.id) for each in message.channels]


def _header_of(received: bytes) -> str:
    """The kind of header before the first message, which can only be MAIN_INIT.

    It is read off the bytes, and not believed from the capabilities.
    """
    if MINI_HEADER.unpack_from(received) == (INIT_ID, INIT_SIZE):
        return MINI
    if FULL_HEADER.unpack_from(received)[1:3] == (INIT_ID, INIT_SIZE):
        return FULL
    raise IllegalMessage(f"its first message is no MAIN_INIT with either header: {received[: FULL_HEADER.size].hex()}")


def _not_let_in(outcome: Outcome, *, password: bool) -> LinkError:
    """What to say of a server that does not accept main."""
    if outcome.code is None:
        return LinkError(f"it is no SPICE server, or not over this way: the link of main is {outcome}")
    hints: dict[int, str] = {
        LinkErr.NEED_SECURED: ": it wants TLS",
        LinkErr.NEED_UNSECURED: ": it wants no TLS",
        LinkErr.PERMISSION_DENIED: ": the password is wrong" if password else ": it wants a password",
    }
    error = refusal_of(outcome.code, "link of main")
    error.args = (f"it does not let us in, {outcome}{hints.get(outcome.code, '')}",)
    return error


def _not_spice(error: LinkError, received: bytes) -> LinkError:
    """What to say of an answer that is none of the protocol's."""
    if received[: len(MAGIC)] == MAGIC[: len(received)]:
        return error
    return type(error)(f"it is no SPICE server: it begins with {received[: HEADER.size]!r}")
