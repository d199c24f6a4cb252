//! Every limit and deadline, in one table.

use std::time::Duration;

use crate::Worker;

/// What an endpoint allows and how long it waits.
///
/// The default is meant for production and is safe against a hostile peer: what one connection can make us keep is at
/// most about 2 MiB, the sum of the windows and buffers below. Raise a value where you know your peers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Connections held at a time; a new one above it is refused. Zero refuses all.
    pub max_connections: usize,
    /// Handshakes under way at a time; a new one above it is dropped unanswered. Zero drops all.
    pub max_handshakes: usize,
    /// Handshakes under way above which a client must first prove its address (Retry, RFC 9000, section 8.1.2), at the
    /// price of one round trip. Zero asks every client.
    pub retry_above: usize,
    /// Sessions a client may have on one connection at a time when they are under session flow control, which is with
    /// draft 15 and newer; more are reset with H3_REQUEST_REJECTED. Zero refuses all.
    pub max_sessions: usize,
    /// The same for clients without session flow control. The draft allows one (draft-ietf-webtrans-http3-16, section
    /// 5.1); drafts 02 to 12 had no such rule. Zero refuses all.
    pub max_sessions_without_flow_control: usize,
    /// Bytes the peer may send in one session ahead of what has been read, at first and at least
    /// (draft-ietf-webtrans-http3-16, section 5.5.3). Once open a session has an equal share of `connection_window` among
    /// the sessions there are and one more, if that is larger: what one leaves unread never holds up all others.
    ///
    /// Zero here and in the next two turns session flow control off.
    pub session_window: u32,
    /// Bidirectional streams the peer may have open in one session (draft-ietf-webtrans-http3-16, section 5.5.2).
    pub session_bidi_streams: u32,
    /// Unidirectional streams the peer may have open in one session (draft-ietf-webtrans-http3-16, section 5.5.1).
    pub session_uni_streams: u32,
    /// Plain requests, such as health checks, that a client may have waiting for their answer on one connection at a
    /// time; more are reset with H3_REQUEST_REJECTED. Zero hands none to the application: they are answered with 404.
    ///
    /// Each costs at most [`max_field_section_size`](Self::max_field_section_size) and what its answer's body takes.
    pub http_requests: usize,
    /// Sessions a client may ask for at once on one connection; more are reset with H3_REQUEST_REJECTED. Zero refuses all.
    pub connect_burst: u32,
    /// How many of them come back per second.
    pub connect_rate: u32,
    /// Bidirectional streams the peer may have open at a time, CONNECT streams among them.
    pub max_bidi_streams: u32,
    /// Unidirectional streams the peer may have open at a time; HTTP/3 itself needs three of them.
    pub max_uni_streams: u32,
    /// Bytes the peer may send on one stream ahead of what has been read.
    pub stream_window: u32,
    /// Bytes the peer may send on one connection ahead of what has been read.
    pub connection_window: u32,
    /// The same until the connection has its first session.
    pub connection_window_before_session: u32,
    /// STREAM frames of one connection that wait to be read, or behind bytes that are missing; a peer that sends more is
    /// closed with H3_EXCESSIVE_LOAD. QUIC keeps an entry of its own for each, however small it is. Of one stream at most
    /// 2,049 are counted, since QUIC joins more. Raise it with `connection_window`: an application may leave a whole window
    /// unread, which 16,384 frames of 40 bytes fill. Zero closes nearly every connection.
    pub max_unread_frames: usize,
    /// Bytes written but not yet acknowledged that one connection may keep.
    pub send_window: u32,
    /// Datagrams of one session waiting to be sent; an application that has more waits, or has the oldest dropped.
    pub datagram_send_queue: usize,
    /// Bytes of datagrams of one session waiting to be sent, 48 for each datagram counted on top.
    pub datagram_send_buffer: usize,
    /// Age above which a datagram is not sent any more; `None` sends them however old they are. An application may choose
    /// another age for a session, see [`DatagramOptions`](crate::DatagramOptions).
    pub datagram_send_max_age: Option<Duration>,
    /// Datagrams waiting to be read by one session; the oldest are dropped beyond it.
    pub datagram_queue: usize,
    /// Bytes of datagrams waiting to be read by one session, 48 for each datagram counted on top.
    pub datagram_queue_bytes: usize,
    /// Age above which a datagram is not given to the application any more; `None` gives them however old they are.
    pub datagram_max_age: Option<Duration>,
    /// Bytes of datagrams waiting to be sent by all sessions of a connection together, and the same for those waiting to
    /// be read. Half of it is for who comes first, the other half is shared out among `max_sessions`, so this should be
    /// at least twice what one session may have.
    pub connection_datagram_bytes: usize,
    /// Streams held for a session that does not exist yet; more are rejected with WT_BUFFERED_STREAM_REJECTED.
    pub held_streams: usize,
    /// Datagrams held for a session that does not exist yet; more are dropped.
    pub held_datagrams: usize,
    /// How long such streams and datagrams are held, counted from their own arrival.
    pub hold_timeout: Duration,
    /// Size of a request's or response's header section, names and values plus 32 bytes a field (RFC 9114, section
    /// 4.2.2); larger ones are answered with 431.
    pub max_field_section_size: usize,
    /// Number of header fields in a section; more are answered with 431.
    pub max_fields: usize,
    /// Size of the peer's SETTINGS frame, bytes.
    pub max_settings_size: usize,
    /// Time for the QUIC handshake.
    pub handshake_timeout: Duration,
    /// Time for the peer's SETTINGS after the handshake.
    pub settings_timeout: Duration,
    /// Time for the first bytes of a stream that say what it is, and for a request's headers.
    pub request_timeout: Duration,
    /// Time for the application to answer a request; 503 is sent then.
    pub accept_timeout: Duration,
    /// Time for a server to answer our own request for a session; the request is cancelled then.
    pub response_timeout: Duration,
    /// Time for a close to leave when the peer grants no credit; the CONNECT stream is reset then.
    pub close_flush_timeout: Duration,
    /// Time for the peer to end its side of the CONNECT stream after our close; it is stopped then.
    pub close_linger_timeout: Duration,
    /// Silence after which a connection is given up; the smaller of both sides' counts. Zero means never.
    pub idle_timeout: Duration,
    /// How often to send something on an idle connection to keep it. Zero means never: browsers do it themselves.
    pub keep_alive_interval: Duration,
    /// Protocol oddities a connection may commit at once before it is closed with H3_EXCESSIVE_LOAD.
    pub glitch_burst: u32,
    /// Oddities forgiven per second.
    pub glitch_refill: u32,
    /// First guess of the UDP payload size that fits the path, bytes, 1200 to 65527; discovery goes up from there.
    pub initial_mtu: u16,
    /// Largest UDP payload size that path discovery tries, bytes. Zero turns discovery off.
    pub max_mtu: u16,
    /// Which of several endpoints behind one address this one is, see [`Worker`]; `None` when it has its address for itself.
    pub worker: Option<Worker>,
    /// Seed of the random numbers (connection ids, packet number gaps), for simulations that replay. TLS has its own.
    pub random_seed: Option<[u8; 32]>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 65_536,
            max_handshakes: 1_024,
            retry_above: 256,
            max_sessions: 16,
            max_sessions_without_flow_control: 1,
            session_window: 64 * 1024,
            session_bidi_streams: 64,
            session_uni_streams: 64,
            http_requests: 0,
            connect_burst: 40,
            connect_rate: 20,
            max_bidi_streams: 100,
            max_uni_streams: 100,
            stream_window: 256 * 1024,
            connection_window: 640 * 1024,
            connection_window_before_session: 256 * 1024,
            max_unread_frames: 16_384,
            send_window: 512 * 1024,
            datagram_send_queue: 1_024,
            datagram_send_buffer: 64 * 1024,
            datagram_send_max_age: None,
            datagram_queue: 256,
            datagram_queue_bytes: 64 * 1024,
            datagram_max_age: None,
            connection_datagram_bytes: 128 * 1024,
            held_streams: 64,
            held_datagrams: 64,
            hold_timeout: Duration::from_secs(5),
            max_field_section_size: 16 * 1024,
            max_fields: 128,
            max_settings_size: 8 * 1024,
            handshake_timeout: Duration::from_secs(10),
            settings_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            accept_timeout: Duration::from_secs(30),
            response_timeout: Duration::from_secs(60),
            close_flush_timeout: Duration::from_millis(250),
            close_linger_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(30),
            keep_alive_interval: Duration::ZERO,
            glitch_burst: 1_000,
            glitch_refill: 33,
            initial_mtu: 1_200,
            max_mtu: 1_452,
            worker: None,
            random_seed: None,
        }
    }
}
