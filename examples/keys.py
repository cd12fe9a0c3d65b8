"""Echoes what the client types until Escape, and checks an order of events."""

import asyncio

from spiceemu import KeyDown, MousePress, SpiceServer

ESCAPE = 0x01


async def main() -> None:
    async with SpiceServer() as server:
        display = server.displays[0]
        display.text((20, 20), "Click, then type; Escape ends.", color="white", scale=2)
        print(server.uri, flush=True)
        client = await server.wait_client(timeout=None)
        await client.expect(MousePress, timeout=600)  # whatever comes before it is passed over
        typed = ""
        while True:
            key = await client.expect(KeyDown, timeout=600)
            if key.scancode == ESCAPE:
                break
            typed += key.character or ""
            display.text((20, 80), typed, color="gold", background="black", scale=2)
        print(f"typed: {typed!r}", flush=True)


asyncio.run(main())
