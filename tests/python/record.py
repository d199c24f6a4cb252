#!/usr/bin/env python3
"""One client's visit to the recorder: `record.py aioquic|pywebtransport URL`, each with the Python that tests/setup made.

A session, a bidirectional stream read back, a unidirectional stream, a datagram read back, a close.
"""

import asyncio
import ssl
import sys

PATH = "/capture?client=python"
PROTOCOLS = ["chat", "moq-00"]


async def aioquic(url, certificate_sha256):
    from aioquic_session import CAPSULE_CLOSE, connected

    async with connected(url, certificate_sha256) as client:
        session = await client.session(PATH)
        assert await client.echo_bidi(session, b"over and back") == b"over and back"
        client.send(client.open_uni(session), b"one way", end=True)
        await client.repeat(lambda: client.send_datagram(session, b"datagram"), lambda: b"datagram" in session.datagrams)
        client.send_capsule(session, CAPSULE_CLOSE, (7).to_bytes(4, "big") + b"done", end=True)
        await asyncio.sleep(0.5)


async def pywebtransport(url, _):
    from pywebtransport import ClientConfig, WebTransportClient

    config = ClientConfig(verify_mode=ssl.CERT_NONE, wt_available_protocols=PROTOCOLS)
    async with WebTransportClient(config=config) as transport:
        session = await transport.connect(url=f"{url}{PATH}")
        stream = await session.create_bidirectional_stream()
        back, _ = await asyncio.gather(stream.read_all(), stream.write_all(data=b"over and back", end_stream=True))
        assert back == b"over and back"
        stream = await session.create_unidirectional_stream()
        await stream.write_all(data=b"one way", end_stream=True)
        await session.send_datagram(data=b"datagram")
        await session.read_datagram()
        await session.close(error_code=7, reason="done")
        await asyncio.sleep(0.5)


asyncio.run({"aioquic": aioquic, "pywebtransport": pywebtransport}[sys.argv[1]](*sys.argv[2:4]))
