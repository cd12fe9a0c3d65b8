"""A server that behaves like an old one: what it cannot say, and a client that is shown a picture all the same.

Run it with a level, ``python compat.py 0.6``, and point ``remote-viewer`` at the printed address.
"""

import asyncio
import sys

from spiceemu import NotCompatible, SpiceServer, messages


async def main(level: str) -> None:
    async with SpiceServer(compat=level) as server:
        display = server.displays[0]
        stamp = display.create_surface(64, 64)  # beside the screen: a surface, or at 0.4 pixels
        display.fill((0, 0, 64, 64), "tomato", surface=stamp)
        print(server.uri, flush=True)
        client = await server.wait_client(timeout=None)
        display.copy_surface(stamp, (0, 0, 64, 64), (40, 40))
        display.text((40, 120), f"as {server.level.name}, protocol 2.{server.level.minor}", color="white", scale=2)
        await client.synced()
        try:
            client.send(messages.display.MonitorsConfig(1, ()))
            print("the client knows of heads", flush=True)
        except NotCompatible as error:
            print(error, flush=True)


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "0.4"))
