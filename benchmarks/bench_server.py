"""A running server: links against the private operation they need, and large frames against a bare socket.

The clients are a process of their own (:mod:`benchmarks.client`). What is compared runs in turn, in many rounds, and
each counts with its best: so the ratios hold on a machine that others use as well.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from collections import deque
from pathlib import Path
from time import perf_counter
from typing import Any, Self

from benchmarks.client import HOST, SKIPPED
from benchmarks.report import Row
from spiceemu import SpiceServer
from spiceemu.protocol.capabilities import ChannelType, CommonCap
from spiceemu.protocol.framing import MINI_HEADER
from spiceemu.protocol.link.layouts import U32
from spiceemu.protocol.link.ticket import encrypt_ticket, process_key
from spiceemu.protocol.messages import draw
from spiceemu.protocol.messages.message import SERVER

PASSWORD = "s3cret"
LINK_ROUNDS = 60
DISPLAYS = 16  # so many channels there are to link at once, and as many for their cursors
CHANNELS = [(kind, number) for kind in (ChannelType.DISPLAY, ChannelType.CURSOR) for number in range(DISPLAYS)]
WIDTH, HEIGHT = 1920, 1080
FRAME_ROUNDS = 25
FRAMES = 30  # of a round
IN_FLIGHT = 3  # frames drawn before the first of them has reached the client


class ClientProcess:
    """``async with ClientProcess() as clients``: :meth:`do` has it do something."""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.client"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        return self

    async def do(self, *task: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task).encode() + b"\n")
        answer = await self._process.stdout.readline()
        assert answer, "the clients' process failed"
        return json.loads(answer)

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


def proof() -> str:
    """What a client answers the server's reply with: mechanism and ticket."""
    return (U32.pack(CommonCap.AUTH_SPICE) + encrypt_ticket(process_key().public_der, PASSWORD.encode())).hex()


async def link_rows() -> list[Row]:
    ticket = bytes.fromhex(proof())[U32.size :]
    link = decrypt = float("inf")
    async with SpiceServer(password=PASSWORD, displays=[(64, 64)] * DISPLAYS) as server, ClientProcess() as clients:
        for _ in range(LINK_ROUNDS):
            link = min(link, await clients.do("links", server.port, proof(), CHANNELS) / len(CHANNELS))
            start = perf_counter()
            for _ in CHANNELS:
                process_key().decrypt(ticket)
            decrypt = min(decrypt, (perf_counter() - start) / len(CHANNELS))
    reference = f"private operation {decrypt * 1e3:.2f} ms"
    return [Row("link with a ticket", f"{link * 1e3:.2f} ms", reference, link / decrypt, "<= 1.5")]


async def frame_rows() -> list[Row]:
    pixels = random.Random(1).randbytes(WIDTH * HEIGHT * 4)
    ours = bare = float("inf")
    async with ClientProcess() as clients:
        for _ in range(FRAME_ROUNDS):
            ours = min(ours, await send_frames(clients, pixels))
            bare = min(bare, await send_bare_frames(clients, pixels))
    name = f"frames of {len(pixels) / 1e6:.1f} MB, drawn and sent"
    amount = len(pixels) * (FRAMES - SKIPPED) / 1e9
    reference = f"bare socket {amount / bare:.2f} GB/s"
    return [Row(name, f"{amount / ours:.2f} GB/s", reference, bare / ours, ">= 0.8")]


async def send_frames(clients: ClientProcess, pixels: bytes) -> float:
    """Draw frames and give the seconds of the client. The first frame is the screen as it was before."""
    async with SpiceServer(password=PASSWORD, displays=[(WIDTH, HEIGHT)], compression="off") as server:
        received = asyncio.ensure_future(clients.do("frames", server.port, proof(), FRAMES))
        client = await server.wait_client()
        await client.synced()
        waiting: deque[asyncio.Future[None]] = deque()
        for _ in range(FRAMES - 1):
            server.displays[0].blit((0, 0), WIDTH, HEIGHT, pixels)
            if len(waiting) == IN_FLIGHT:
                await waiting.popleft()
            waiting.append(asyncio.ensure_future(client.synced()))
        await asyncio.gather(*waiting)
        client.disconnect()
        return float(await received)


async def send_bare_frames(clients: ClientProcess, pixels: bytes) -> float:
    frame = MINI_HEADER.pack(draw.DrawCopy.spec.ids[SERVER], len(pixels)) + pixels
    with socket.create_server((HOST, 0)) as listener:
        received = asyncio.ensure_future(clients.do("bare_frames", listener.getsockname()[1], FRAMES))
        await asyncio.sleep(0)  # so that the task is written to the clients before the loop stands still
        connection, _ = listener.accept()
        with connection:
            for _ in range(FRAMES):
                connection.sendall(frame)
        return float(await received)


def rows() -> list[Row]:
    """Measure, and return the lines of the table."""
    return asyncio.run(link_rows()) + asyncio.run(frame_rows())
