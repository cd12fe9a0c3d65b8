"""The shortest server: a blue screen, and a line when the client has it.

Run it, and point ``remote-viewer`` at the printed address.
"""

import asyncio

from spiceemu import SpiceServer


async def main() -> None:
    async with SpiceServer() as server:
        server.displays[0].fill((0, 0, 1024, 768), "steelblue")
        print(server.uri, flush=True)
        client = await server.wait_client(timeout=None)
        await client.synced()
        print("the client shows it", flush=True)


asyncio.run(main())
