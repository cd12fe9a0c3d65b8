"""What Wireshark's SPICE dissector thinks of recorded streams: a judge that is neither our code nor libspice.

The streams are written to a capture file with headers of our own, so that no network interface is watched.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from .clients import environment, requires, without
from .recorder import CLIENT, SERVER, Piece
from .waiting import PATIENCE

#: What the dissector says of streams of the real libspice-server 0.15.1 too: patterns, each for a whole finding.
FINDINGS_OF_A_REAL_SERVER = (
    # Channels and messages it does not know: port, webdav, usbredir; PORT_INIT.
    "Channel Capabilities: Unknown channel - cannot dissect",
    "Client Channel-specific Capabilities: Unknown channel - cannot dissect",
    "Unknown message",
    r"message type Unknown message \(201\) not fully dissected",
    # Messages it knows and does not finish.
    r"message type Server AGENT_DATA \(109\) not fully dissected",
    r"message type Server INVAL_ALL_PIXMAPS \(106\) not fully dissected",
    r"message type Server START \(101\) not fully dissected",
    # Messages it misreads.
    "Selected authentication mechanism: Trailing stray characters",
    # A drawing without a mask, which is nearly every one.
    r"Server DRAW_\w+: value irrelevant as bitmap address is 0",
    "Server MIGRATE_BEGIN(_SEAMLESS)?: Malformed Packet",
)

#: How the dissector titles a server's message it knows; it gives no title to a client's.
SERVER_MESSAGE = re.compile(r"Server ([A-Z0-9_]+) \(\d+ bytes\)")

SERVER_PORT = 5900
FIRST_CLIENT_PORT = 40000

# pcap: magic for microseconds, version 2.4, no time zone, no accuracy, snapshot length, link type Ethernet.
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)
PCAP_RECORD = struct.Struct("<IIII")
ETHERNET_IPV4 = bytes(12) + b"\x08\x00"
LOOPBACK = bytes((127, 0, 0, 1))
IPV4 = struct.Struct(">BBHHHBBH4s4s")
TCP = struct.Struct(">HHIIBBHHH")
SYN, ACK, PUSH = 0x02, 0x10, 0x08
TCP_PROTOCOL = 6

#: The longest payload of one packet: an IPv4 packet's length is 16 bits, and the two headers take 40.
LONGEST_PAYLOAD = 60000

LINK_HEADER_SIZE = 16
LINK_SIZE_OFFSET = 12
AUTHENTICATION_RESULT_SIZE = 4
MECHANISM_SIZE = 4
TICKET_SIZE = 128


def write_pcap(path: Path, connections: Sequence[Sequence[Piece]]) -> None:
    """Write each connection's pieces, in order, as one TCP stream to port 5900."""
    with path.open("wb") as file:
        file.write(PCAP_HEADER)
        for number, packet in enumerate(_packets(connections)):
            file.write(PCAP_RECORD.pack(number // 1000, number % 1000 * 1000, len(packet), len(packet)))
            file.write(packet)


def _packets(connections: Sequence[Sequence[Piece]]) -> Iterator[bytes]:
    for index, pieces in enumerate(connections):
        client = FIRST_CLIENT_PORT + index
        ports = {CLIENT: (client, SERVER_PORT), SERVER: (SERVER_PORT, client)}
        other = {CLIENT: SERVER, SERVER: CLIENT}
        sent = {CLIENT: 1, SERVER: 1}
        yield _packet(ports[CLIENT], 0, 0, SYN)
        yield _packet(ports[SERVER], 0, 1, SYN | ACK)
        for sender, data in _cut_at_the_link(pieces):
            for start in range(0, len(data), LONGEST_PAYLOAD):
                payload = data[start : start + LONGEST_PAYLOAD]
                yield _packet(ports[sender], sent[sender], sent[other[sender]], ACK | PUSH, payload)
                sent[sender] = (sent[sender] + len(payload)) & 0xFFFFFFFF


def _packet(ports: tuple[int, int], sequence: int, acknowledged: int, flags: int, payload: bytes = b"") -> bytes:
    # Checksums stay zero: tshark does not verify them unless asked.
    tcp = TCP.pack(*ports, sequence, acknowledged, TCP.size // 4 << 4, flags, 0xFFFF, 0, 0)
    length = IPV4.size + len(tcp) + len(payload)
    return ETHERNET_IPV4 + IPV4.pack(0x45, 0, length, 0, 0, 64, TCP_PROTOCOL, 0, LOOPBACK, LOOPBACK) + tcp + payload


def _cut_at_the_link(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Cut the pieces where the link's own parts end: the dissector loses a stream that joins them in a segment."""
    parts_after = {CLIENT: (MECHANISM_SIZE, TICKET_SIZE), SERVER: (AUTHENTICATION_RESULT_SIZE,)}
    cuts: dict[str, list[int]] = {}
    for side in (CLIENT, SERVER):
        head = b"".join(data for sender, data in pieces if sender == side)[:LINK_HEADER_SIZE]
        if len(head) < LINK_HEADER_SIZE:
            cuts[side] = []
            continue
        (size,) = struct.unpack_from("<I", head, LINK_SIZE_OFFSET)
        ends = [LINK_HEADER_SIZE + size]
        for part in parts_after[side]:
            ends.append(ends[-1] + part)
        cuts[side] = ends
    position = {CLIENT: 0, SERVER: 0}
    for sender, data in pieces:
        start, end = position[sender], position[sender] + len(data)
        bounds = [start, *(cut for cut in cuts[sender] if start < cut < end), end]
        yield from ((sender, data[low - start : high - start]) for low, high in itertools.pairwise(bounds))
        position[sender] = end


@dataclass
class Dissection:
    """What the dissector read: ``findings`` by text; for each connection the names of the server's messages it knew."""

    findings: Counter[str] = field(default_factory=Counter)
    server_messages: list[list[str]] = field(default_factory=list)

    @property
    def unexpected(self) -> list[str]:
        """The findings that it does not have of a real server."""
        return sorted(without(list(self.findings), FINDINGS_OF_A_REAL_SERVER))


async def dissect(connections: Sequence[Sequence[Piece]]) -> Dissection:
    """Run tshark over recorded connections, each whole from the first byte of its link."""
    requires("tshark")
    with tempfile.TemporaryDirectory() as directory:
        capture, report = Path(directory, "streams.pcap"), Path(directory, "report.pdml")
        write_pcap(capture, connections)
        with report.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *("tshark", "-n", "-r", str(capture), "-d", f"tcp.port=={SERVER_PORT},spice", "-T", "pdml"),
                stdout=file,
                stderr=subprocess.PIPE,
                env=environment(HOME=directory),
            )
            try:
                async with asyncio.timeout(PATIENCE):
                    _, stderr = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode != 0:
            raise AssertionError(f"tshark failed: {stderr.decode(errors='replace')}")
        return await asyncio.to_thread(_read_report, report, len(connections))


def _read_report(report: Path, connections: int) -> Dissection:
    dissection = Dissection(server_messages=[[] for _ in range(connections)])
    for _, packet in ElementTree.iterparse(report):
        if packet.tag == "packet":
            ports = [port.get("show", "") for port in packet.iterfind("proto[@name='tcp']/field[@name='tcp.port']")]
            client = max(map(int, ports))
            _read_packet(packet, dissection.findings, dissection.server_messages[client - FIRST_CLIENT_PORT])
            packet.clear()
    return dissection


def _read_packet(packet: ElementTree.Element, findings: Counter[str], messages: list[str]) -> None:
    label = "link"
    for protocol in packet.iterfind("proto"):
        if protocol.get("name") == "_ws.malformed":
            findings[f"{label}: Malformed Packet"] += 1
        if protocol.get("name") != "spice":
            continue
        for part in protocol:
            title = _text(part)
            # "Server SET_ACK (14 bytes)"; "Selected authentication mechanism: PLAIN".
            label = re.sub(r" \(\d+ bytes\)$|:.*", "", title)
            if message := SERVER_MESSAGE.fullmatch(title):
                messages.append(message[1])
            if label == "Unknown message":
                findings[label] += 1
            for expert in part.iter("field"):
                if expert.get("name") == "_ws.expert":
                    text = re.sub(r"^Expert Info \(.*?\): ", "", _text(expert))
                    findings[text if label in text else f"{label}: {text}"] += 1


def _text(element: ElementTree.Element) -> str:
    return element.get("showname") or element.get("show") or ""
