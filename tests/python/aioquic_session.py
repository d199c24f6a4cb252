"""A WebTransport client on aioquic: what its HTTP/3 layer leaves to the user."""

import asyncio
import contextlib
import hashlib
import ssl
import urllib.parse

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.asyncio.client import connect as quic_connect
from aioquic.buffer import Buffer, BufferReadError, encode_uint_var
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, DatagramReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StopSendingReceived, StreamReset
from cryptography.hazmat.primitives.serialization import Encoding

WT_BIDI_STREAM = 0x41
CAPSULE_CLOSE = 0x2843
CAPSULE_DRAIN = 0x78AE
SESSION_GONE = 0x170D7B68
FIRST_CODE = 0x52E4A40FA8DB


def to_http(code):
    """A WebTransport error code as HTTP/3 carries it: every thirtieth place is left free for reserved code points."""
    return FIRST_CODE + code + code // 0x1E


class Stream:
    """What has come on one stream, and how it ended."""

    def __init__(self, stream_id):
        self.id = stream_id
        self.data = bytearray()
        self.ended = False
        self.reset = None
        self.stopped = None


class Session:
    """What has come for one CONNECT stream."""

    def __init__(self, stream_id):
        self.id = stream_id
        self.headers = None
        self.body = bytearray()
        self.ended = False
        self.reset = None
        self.stopped = None
        self.datagrams = []
        self.streams = []

    @property
    def status(self):
        return self.headers and int(self.headers[":status"])

    def capsules(self):
        """The whole capsules that have come, as (type, value)."""
        buffer, found = Buffer(data=bytes(self.body)), []
        with contextlib.suppress(BufferReadError):
            while not buffer.eof():
                kind = buffer.pull_uint_var()
                found.append((kind, buffer.pull_bytes(buffer.pull_uint_var())))
        return found

    def close_capsule(self):
        """(code, reason) of the close capsule, or None."""
        for kind, value in self.capsules():
            if kind == CAPSULE_CLOSE:
                return int.from_bytes(value[:4], "big"), value[4:].decode()
        return None


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.h3 = H3Connection(self._quic, enable_webtransport=True)
        self.sessions = {}
        self.streams = {}
        self.terminated = None
        self._changed = asyncio.Event()
        self.authority = ""

    async def until(self, test):
        """Waits until `test()` is true; everything that arrives asks again."""
        while not (result := test()):
            if self.terminated:
                raise AssertionError(f"connection ended: {self.terminated}")
            self._changed.clear()
            await self._changed.wait()
        return result

    async def repeat(self, act, test):
        """Does `act` again and again until `test()` is true here: for datagrams, which may be lost."""
        while not test():
            act()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self.until(test)

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.terminated = event
        elif isinstance(event, (StreamReset, StopSendingReceived)):
            target = self.sessions.get(event.stream_id) or self.streams.get(event.stream_id)
            if target is not None:
                name = "reset" if isinstance(event, StreamReset) else "stopped"
                setattr(target, name, event.error_code)
        for http_event in self.h3.handle_event(event):
            self._http_event(http_event)
        self._changed.set()

    def _http_event(self, event):
        if isinstance(event, WebTransportStreamDataReceived):
            stream = self.streams.get(event.stream_id)
            if stream is None:
                stream = self.streams[event.stream_id] = Stream(event.stream_id)
                if event.session_id in self.sessions:
                    self.sessions[event.session_id].streams.append(stream)
            stream.data += event.data
            stream.ended |= event.stream_ended
        elif isinstance(event, DatagramReceived):
            if event.stream_id in self.sessions:
                self.sessions[event.stream_id].datagrams.append(event.data)
        elif isinstance(event, HeadersReceived):
            session = self.sessions[event.stream_id]
            session.headers = {name.decode(): value.decode() for name, value in event.headers}
            session.ended |= event.stream_ended
        elif isinstance(event, DataReceived):
            session = self.sessions[event.stream_id]
            session.body += event.data
            session.ended |= event.stream_ended

    def request(self, path, *, method="CONNECT", headers=()):
        """Sends a request, for a session unless a method is given, and does not wait for the answer."""
        stream_id = self._quic.get_next_available_stream_id()
        session = self.sessions[stream_id] = Session(stream_id)
        fields = [(":method", method), (":scheme", "https"), (":authority", self.authority), (":path", path)]
        if method == "CONNECT":
            fields.append((":protocol", "webtransport"))
        fields += headers
        encoded = [(name.encode(), value.encode()) for name, value in fields]
        self.h3.send_headers(stream_id, encoded, end_stream=method != "CONNECT")
        self.transmit()
        return session

    async def answered(self, session):
        await self.until(lambda: session.headers or session.reset is not None)
        return session

    async def session(self, path, headers=()):
        """A session that the server has granted."""
        await self.until(lambda: self.h3.received_settings)
        session = await self.answered(self.request(path, headers=headers))
        assert session.status == 200, f"{path} answered {session.headers}, reset {session.reset}"
        return session

    def open_bidi(self, session):
        stream_id = self.h3.create_webtransport_stream(session.id)
        # Without this, aioquic would read the answer as HTTP/3 frames.
        with self.h3._get_or_create_stream(stream_id) as state:
            state.frame_type = WT_BIDI_STREAM
            state.session_id = session.id
        stream = self.streams[stream_id] = Stream(stream_id)
        self.transmit()
        return stream

    def open_uni(self, session):
        stream = Stream(self.h3.create_webtransport_stream(session.id, is_unidirectional=True))
        self.streams[stream.id] = stream
        self.transmit()
        return stream

    def send(self, stream, data, end=False):
        self._quic.send_stream_data(stream.id, data, end)
        self.transmit()

    def reset(self, stream, code):
        self._quic.reset_stream(stream.id, to_http(code))
        self.transmit()

    def stop(self, stream, code):
        self._quic.stop_stream(stream.id, to_http(code))
        self.transmit()

    def send_datagram(self, session, data):
        self.h3.send_datagram(session.id, data)
        self.transmit()

    def send_capsule(self, session, kind, value, *, parts=1, end=False):
        """Sends a capsule cut into so many DATA frames."""
        whole = encode_uint_var(kind) + encode_uint_var(len(value)) + value
        step = -(-len(whole) // parts)
        for start in range(0, len(whole), step):
            self.h3.send_data(session.id, whole[start : start + step], end and start + step >= len(whole))
        self.transmit()

    async def echo_bidi(self, session, data):
        stream = self.open_bidi(session)
        self.send(stream, data, end=True)
        await self.until(lambda: stream.ended or stream.reset is not None)
        return bytes(stream.data)

    async def server_streams(self, session, count):
        """The first `count` streams of the server, each read to its end."""
        await self.until(lambda: sum(stream.ended for stream in session.streams) >= count)
        return session.streams


@contextlib.asynccontextmanager
async def connected(url, certificate_sha256):
    """A connection to the server whose certificate has that hash."""
    address = urllib.parse.urlsplit(url)
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE, max_datagram_frame_size=65536
    )
    async with quic_connect(
        address.hostname, address.port, configuration=configuration, create_protocol=Client
    ) as client:
        shown = client._quic.tls._peer_certificate.public_bytes(Encoding.DER)
        assert hashlib.sha256(shown).hexdigest() == certificate_sha256, "another certificate than announced"
        client.authority = address.netloc
        yield client
