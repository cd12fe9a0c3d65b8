"""Two servers of different versions; whoever comes to the first is moved to the second, and back.

Run it, then show what it prints: ``remote-viewer spice://127.0.0.1:5930``. The picture stays, and so does a held key.
``python examples/migration.py 3`` waits three seconds before each move.
"""

import asyncio
import sys

from spiceemu import ClientArrived, SpiceServer

SIZE = (400, 200)


async def main(seconds: float) -> None:
    async with SpiceServer(displays=[SIZE]) as new, SpiceServer(displays=[SIZE], compat="0.8.3") as old:
        new.displays[0].text((20, 20), "drawn at the first server", color="white")
        print(new.uri, flush=True)
        await new.wait_client(timeout=None)
        for source, target in ((new, old), (old, new)):
            await asyncio.sleep(seconds)
            (moved,) = await source.migrate_to(target)
            client = await target.wait_client()
            await client.expect(ClientArrived)
            level = target.level.name
            y = 60 if target is old else 100
            target.displays[0].text((20, y), f"drawn at a server like {level}", color="gold")
            await client.synced()
            print(f"{moved.scheme.value}, to a server like {level}", flush=True)
        await client.wait_disconnected(timeout=None)


asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
