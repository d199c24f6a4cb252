"""Transom's demo server as pywebtransport 0.21 finds it: the upgrade token of draft 15 and 16, `webtransport-h3`."""

import asyncio
import os
import ssl

from cases import case, equal, main
from pywebtransport import ClientConfig, WebTransportClient
from pywebtransport.exceptions import WebTransportError
from pywebtransport.types import EventType


def client():
    return WebTransportClient(config=ClientConfig(verify_mode=ssl.CERT_NONE))


async def first(streams):
    async for stream in streams:
        return stream
    raise AssertionError("no stream came")


@case("bidi echo: small and one MiB")
async def echo_bidi(url):
    async with client() as transport:
        session = await transport.connect(url=f"{url}/echo")
        for data in (b"hello", os.urandom(1 << 20)):
            stream = await session.create_bidirectional_stream()
            back, _ = await asyncio.gather(stream.read_all(), stream.write_all(data=data, end_stream=True))
            assert back == data, f"{len(data)} bytes"
        await session.close()


@case("bidi echo: thirty streams at once")
async def echo_many(url):
    async with client() as transport:
        session = await transport.connect(url=f"{url}/echo")

        async def one(number):
            data = os.urandom(1000 + number)
            stream = await session.create_bidirectional_stream()
            await stream.write_all(data=data, end_stream=True)
            return await stream.read_all() == data

        assert all(await asyncio.gather(*(one(number) for number in range(30))))
        await session.close()


@case("uni echo")
async def echo_uni(url):
    async with client() as transport:
        session = await transport.connect(url=f"{url}/echo")
        data = os.urandom(20_000)
        stream = await session.create_unidirectional_stream()
        await stream.write_all(data=data, end_stream=True)
        back = await first(session.incoming_unidirectional_streams())
        assert await back.read_all() == data
        await session.close()


@case("datagram echo")
async def echo_datagram(url):
    async with client() as transport:
        session = await transport.connect(url=f"{url}/echo")
        for data in (b"ping", os.urandom(1000)):
            while True:
                await session.send_datagram(data=data)
                try:
                    async with asyncio.timeout(0.5):
                        while await session.read_datagram() != data:
                            pass
                    break
                except TimeoutError:
                    pass  # a datagram may be lost; send it again
        await session.close()


@case("streams from the server: five uni and five bidi")
async def server_streams(url):
    wanted = [b"stream%d" % number for number in range(5)]
    for kind in ("uni", "bidi"):
        async with client() as transport:
            session = await transport.connect(url=f"{url}/streams/{kind}/5")
            incoming = session.incoming_unidirectional_streams() if kind == "uni" else session.incoming_bidirectional_streams()
            texts = []
            async for stream in incoming:
                texts.append(await stream.read_all())
                if len(texts) == 5:
                    break
            equal(sorted(texts), wanted)
            await session.close()


async def ending(transport, address):
    """The data of the event that ends the session."""
    # Optimistic, so that the handler is there before the end can come.
    session = await transport.connect_optimistic(url=address)
    ended = asyncio.get_running_loop().create_future()
    session.events.on(
        event_type=EventType.SESSION_CLOSED, handler=lambda event: ended.done() or ended.set_result(event.data)
    )
    return await ended


@case("close from the server: code and reason")
async def close_from_server(url):
    for path, code, reason in (("/close/4294967295?reason=so%20long", 4294967295, "so long"), ("/close/7", 7, "")):
        async with client() as transport:
            data = await ending(transport, f"{url}{path}")
            equal((data["error_code"], data.get("reason") or ""), (code, reason))


@case("FIN from the server ends the session with 0")
async def fin_from_server(url):
    async with client() as transport:
        data = await ending(transport, f"{url}/fin")
        equal((data["error_code"], data.get("reason") or ""), (0, ""))


@case("close from the client, and another session after it")
async def close_from_client(url):
    async with client() as transport:
        for number in range(3):
            session = await transport.connect(url=f"{url}/echo")
            await session.close(error_code=number, reason="done")
            equal(session.is_closed, True)


@case("refusal: /status/403 and an unknown path; the next session is granted")
async def refusal(url):
    async with client() as transport:
        for path in ("/status/403", "/nothing/here"):
            try:
                await transport.connect(url=f"{url}{path}")
            except WebTransportError:
                continue
            raise AssertionError(f"{path} was granted")
        session = await transport.connect(url=f"{url}/echo")
        await session.close()


if __name__ == "__main__":
    main()
