"""Every way to draw, and a screenshot of the result as a PNG.

Fills, copies and offscreen surfaces travel as what they are, not as pictures. Needs no client.
"""

import asyncio
import sys

from spiceemu import SpiceServer


async def main(path: str) -> None:
    async with SpiceServer(displays=[(320, 200)]) as server:
        display = server.displays[0]
        display.fill((0, 0, 320, 200), "#203040")
        display.text((10, 10), "drawn by a test", color="white")
        gradient = b"".join(bytes((x, 128, 255 - x, 0)) for _ in range(40) for x in range(256))
        display.blit((32, 40), 256, 40, gradient)
        display.copy((32, 40, 256, 40), (32, 90))
        stamp = display.create_surface(24, 24)
        display.fill((0, 0, 24, 24), "tomato", surface=stamp)
        for x in range(32, 288, 64):
            display.copy_surface(stamp, (0, 0, 24, 24), (x, 150))
        display.screenshot().save(path)
        print(f"saved {path}")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "drawing.png"))
