"""Puts text into the client's clipboard, and prints what the client copies."""

import asyncio

from spiceemu import ClipboardText, SpiceServer


async def main() -> None:
    async with SpiceServer() as server:
        server.displays[0].text((20, 20), "Paste, then copy something.", color="white", scale=2)
        print(server.uri, flush=True)
        client = await server.wait_client(timeout=None)
        server.guest.clipboard.set_text("hello from the guest")
        copied = await client.expect(ClipboardText, timeout=600)
        print(f"the client copied: {copied.text!r}", flush=True)


asyncio.run(main())
