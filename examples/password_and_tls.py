"""A password that lasts a minute, keyboard and main channel over TLS only, a throw-away certificate.

Needs the extra ``tls``: ``pip install '.[tls]'`` in a checkout, ``pip install 'spiceemu[tls]'`` of a release.
Point a client at it with the printed CA file: ``remote-viewer --spice-ca-file=CA --spice-host-subject=SUBJECT URI``.
"""

import asyncio
import tempfile

from spiceemu import SpiceServer, Tls, server_context, throwaway_certificate


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = throwaway_certificate(folder)
        server = SpiceServer(
            tls=Tls(server_context(made.certificate, made.key), channels=["main", "inputs"]),
            password="s3cret",
            password_lifetime=60,
        )
        async with server:
            print(server.uri, flush=True)
            print(f"CA {made.ca}, subject {made.subject}, password s3cret", flush=True)
            client = await server.wait_client(timeout=None, ready=False)
            print(f"session {client.session_id:08x} is in", flush=True)


asyncio.run(main())
