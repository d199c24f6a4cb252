"""Transom's demo server as aioquic, an implementation nobody here wrote, finds it."""

import asyncio
import json
import os

from aioquic_session import (
    CAPSULE_CLOSE, CAPSULE_DRAIN, SESSION_GONE, connected, to_http,
)
from cases import case, equal, main

H3_REQUEST_REJECTED = 0x10B


@case("settings: the drafts that are spoken, and no other")
async def settings(url, sha256):
    async with connected(url, sha256) as client:
        received = await client.until(lambda: client.h3.received_settings)
        for setting in (0x8, 0x33, 0xFFD277, 0x2B603742, 0x2C7CF000):
            equal((hex(setting), received.get(setting)), (hex(setting), 1))
        assert received.get(0xC671706A, 0) >= 1, received
        assert 0x14E9CD29 not in received, received


@case("bidi echo: small, empty, and one MiB")
async def echo_bidi(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/echo")
        for data in (b"hello", b"", os.urandom(1 << 20)):
            assert await client.echo_bidi(session, data) == data, f"{len(data)} bytes"


@case("bidi echo: each chunk as it comes, FIN with FIN")
async def echo_chunks(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/echo")
        stream = client.open_bidi(session)
        heard = b""
        for chunk in (b"one", b"two", b"three"):
            heard += chunk
            client.send(stream, chunk)
            await client.until(lambda: bytes(stream.data) == heard)
        equal(stream.ended, False)
        client.send(stream, b"", end=True)
        await client.until(lambda: stream.ended)
        equal(bytes(stream.data), heard)


@case("bidi echo: fifty streams at once")
async def echo_many(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/echo")
        sent = [os.urandom(1000 + 61 * number) for number in range(50)]
        back = await asyncio.gather(*(client.echo_bidi(session, data) for data in sent))
        assert list(back) == sent


@case("uni echo: back on a new uni stream")
async def echo_uni(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/echo")
        data = os.urandom(50_000)
        client.send(client.open_uni(session), data, end=True)
        (stream,) = await client.server_streams(session, 1)
        equal(stream.id % 4, 3)
        assert bytes(stream.data) == data


@case("datagram echo: small, empty and of 1000 bytes")
async def echo_datagram(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/echo")
        for data in (b"ping", b"", os.urandom(1000)):
            await client.repeat(lambda: client.send_datagram(session, data), lambda: data in session.datagrams)


@case("streams from the server: five uni, five bidi, FIN each")
async def server_streams(url, sha256):
    for kind, last_bits in (("uni", 3), ("bidi", 1)):
        async with connected(url, sha256) as client:
            session = await client.session(f"/streams/{kind}/5")
            streams = await client.server_streams(session, 5)
            equal(sorted(bytes(stream.data) for stream in streams), [b"stream%d" % i for i in range(5)])
            equal({stream.id % 4 for stream in streams}, {last_bits})


@case("source: one million bytes to the byte")
async def source(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/source/1000000")
        (stream,) = await client.server_streams(session, 1)
        equal(len(stream.data), 1_000_000)


@case("a reset is answered by a reset with the same code, over all 32 bits")
async def reset_in_kind(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/echo")
        for code in (0, 29, 30, 255, 65536, 2**32 - 1):
            stream = client.open_bidi(session)
            client.send(stream, b"before")
            await client.until(lambda: bytes(stream.data) == b"before")
            client.reset(stream, code)
            await client.until(lambda: stream.reset is not None)
            equal((code, hex(stream.reset)), (code, hex(to_http(code))))
        equal(await client.echo_bidi(session, b"after"), b"after")


@case("a stop is answered by a stop with the same code, over all 32 bits")
async def stop_in_kind(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/echo")
        for code in (0, 29, 30, 255, 65536, 2**32 - 1):
            stream = client.open_bidi(session)
            client.send(stream, b"before")
            await client.until(lambda: bytes(stream.data) == b"before")
            client.stop(stream, code)
            # The reset is QUIC's own answer to a stop (RFC 9000, section 3.5).
            await client.until(lambda: stream.stopped is not None and stream.reset is not None)
            wanted = hex(to_http(code))
            equal((code, hex(stream.stopped), hex(stream.reset)), (code, wanted, wanted))
        equal(await client.echo_bidi(session, b"after"), b"after")


@case("close from the server: capsule with code and reason, then FIN")
async def close_from_server(url, sha256):
    async with connected(url, sha256) as client:
        for path, wanted in (
            ("/close/4294967295?reason=so%20long", (4294967295, "so long")),
            ("/close/7?reason=sch%C3%B6n", (7, "schön")),
            ("/close/0", (0, "")),
        ):
            session = await client.session(path)
            await client.until(lambda: session.ended)
            equal(session.close_capsule(), wanted)
            client.h3.send_data(session.id, b"", end_stream=True)
            client.transmit()


@case("FIN from the server: no capsule")
async def fin_from_server(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/fin")
        await client.until(lambda: session.ended)
        equal(bytes(session.body), b"")


@case("drain from the server: the capsule, and the session goes on")
async def drain_from_server(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/drain")
        await client.until(lambda: (CAPSULE_DRAIN, b"") in session.capsules())
        equal((session.ended, session.close_capsule()), (False, None))


@case("close from the client: capsule in two DATA frames; open streams are reset with WT_SESSION_GONE")
async def close_from_client(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/echo")
        stream = client.open_bidi(session)
        client.send(stream, b"left open")
        await client.until(lambda: bytes(stream.data) == b"left open")
        client.send_capsule(session, CAPSULE_CLOSE, (77).to_bytes(4, "big") + b"done", parts=2, end=True)
        await client.until(lambda: session.ended or session.reset is not None)
        equal(session.reset, None)
        await client.until(lambda: stream.reset is not None and stream.stopped is not None)
        equal((hex(stream.reset), hex(stream.stopped)), (hex(SESSION_GONE), hex(SESSION_GONE)))


@case("a session ends and the next begins on the same connection")
async def next_session(url, sha256):
    async with connected(url, sha256) as client:
        for number in range(5):
            session = await client.session("/echo")
            data = b"session %d" % number
            equal(await client.echo_bidi(session, data), data)
            client.send_capsule(session, CAPSULE_CLOSE, number.to_bytes(4, "big"), end=True)
            await client.until(lambda: session.ended)


@case("an unknown capsule is skipped")
async def unknown_capsule(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/echo")
        client.send_capsule(session, 0x29 * 1000 + 0x17, b"whatever", parts=3)
        equal(await client.echo_bidi(session, b"after"), b"after")


@case("refusal: the status and the header x-refused")
async def refusal(url, sha256):
    async with connected(url, sha256) as client:
        await client.until(lambda: client.h3.received_settings)
        for status in (403, 404, 429, 503):
            answer = await client.answered(client.request(f"/status/{status}"))
            equal((answer.status, answer.headers.get("x-refused")), (status, "yes"))
        session = await client.session("/echo")
        equal(await client.echo_bidi(session, b"after"), b"after")


@case("an unknown path is 404, a foreign origin 403, and the connection goes on")
async def not_found(url, sha256):
    async with connected(url, sha256) as client:
        await client.until(lambda: client.h3.received_settings)
        answer = await client.answered(client.request("/nothing/here"))
        equal(answer.status, 404)
        answer = await client.answered(client.request("/echo", headers=[("origin", "https://elsewhere.example")]))
        equal(answer.status, 403)
        session = await client.session("/echo")
        equal(await client.echo_bidi(session, b"after"), b"after")


@case("headers: what was sent, as JSON")
async def headers(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/headers", headers=[("x-test", "seven"), ("user-agent", "aioquic")])
        (stream,) = await client.server_streams(session, 1)
        shown = json.loads(stream.data)
        equal((shown.get("x-test"), shown.get("user-agent")), ("seven", "aioquic"))


@case("statistics: one JSON object, and the session stays open")
async def statistics(url, sha256):
    async with connected(url, sha256) as client:
        session = await client.session("/stats")
        (stream,) = await client.server_streams(session, 1)
        shown = json.loads(stream.data)
        assert isinstance(shown, dict) and shown, shown
        equal((session.ended, session.reset), (False, None))


@case("a plain GET is 404, and the connection goes on")
async def plain_get(url, sha256):
    async with connected(url, sha256) as client:
        await client.until(lambda: client.h3.received_settings)
        answer = await client.answered(client.request("/echo", method="GET"))
        equal(answer.status, 404)
        session = await client.session("/echo")
        answer = await client.answered(client.request("/", method="GET"))
        equal(answer.status, 404)
        equal(await client.echo_bidi(session, b"after"), b"after")


@case("a second CONNECT is reset with H3_REQUEST_REJECTED, and the first session lives")
async def second_connect(url, sha256):
    async with connected(url, sha256) as client:
        first = await client.session("/echo")
        second = await client.answered(client.request("/echo"))
        equal((second.status, hex(second.reset or 0)), (None, hex(H3_REQUEST_REJECTED)))
        equal(await client.echo_bidi(first, b"still here"), b"still here")
        equal((first.ended, first.reset), (False, None))


@case("chat: a datagram goes to every other session, and not back")
async def chat(url, sha256):
    async with connected(url, sha256) as one, connected(url, sha256) as two, connected(url, sha256) as three:
        ada, grace, alan = [await client.session("/chat") for client in (one, two, three)]
        message = json.dumps({"name": "Ada", "text": "hello"}).encode()
        for client, session in ((two, grace), (three, alan)):
            await client.repeat(lambda: one.send_datagram(ada, message), lambda: message in session.datagrams)
        # What another one says arrives after whatever would have come back.
        answer = json.dumps({"name": "Grace", "text": "done"}).encode()
        await one.repeat(lambda: two.send_datagram(grace, answer), lambda: answer in ada.datagrams)
        assert message not in ada.datagrams, ada.datagrams


if __name__ == "__main__":
    main()
