use std::net::SocketAddr;
use std::time::Duration;

use super::{Client, Failure, Options, Request, Response, Seen, StreamSeen, code, wire};

/// The settings of a draft-02 client, as browsers and most libraries send them.
pub const DRAFT_02: &[(u64, u64)] = &[(0x08, 1), (0x33, 1), (0xff_d277, 1), (0x2b60_3742, 1)];

/// The settings of a draft-15 or draft-16 client without session flow control.
pub const DRAFT_15: &[(u64, u64)] = &[(0x08, 1), (0x33, 1), (0x2c7c_f000, 1)];

/// The well-behaved half of a raw client: SETTINGS, CONNECT, responses and echoes, around which a test misbehaves.
pub struct Peer {
    /// The connection below, for everything else.
    pub client: Client,
    /// How long to wait for something that must come: ten seconds, so that a busy machine does not look like a broken
    /// server. More for what a deadline of the server brings.
    pub patience: Duration,
    authority: String,
    control: Option<u64>,
}

impl Peer {
    /// Connects without sending anything of HTTP/3.
    ///
    /// # Errors
    /// The handshake failed.
    pub fn connect(remote: SocketAddr, options: &Options) -> Result<Self, Failure> {
        let client = Client::connect(remote, options)?;
        Ok(Self { client, patience: PATIENCE, authority: remote.to_string(), control: None })
    }

    /// Connects and sends a control stream with these settings.
    ///
    /// # Errors
    /// The handshake failed.
    pub fn greet(remote: SocketAddr, settings: &[(u64, u64)]) -> Result<Self, Failure> {
        let mut peer = Self::connect(remote, &Options::default())?;
        peer.send_settings(settings)?;
        Ok(peer)
    }

    /// Opens the control stream with these settings.
    ///
    /// # Errors
    /// The connection is over.
    pub fn send_settings(&mut self, settings: &[(u64, u64)]) -> Result<(), Failure> {
        let control = self.client.open_uni()?;
        self.control = Some(control);
        let bytes = [wire::varint(wire::CONTROL_STREAM), wire::settings(settings)].concat();
        self.client.write(control, &bytes)
    }

    /// Our control stream.
    ///
    /// # Errors
    /// [`Peer::send_settings`] was not called.
    pub fn control(&self) -> Result<u64, Failure> {
        self.control.ok_or_else(|| Failure::unexpected("no control stream was opened"))
    }

    /// The value for `:authority`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// A well-formed WebTransport CONNECT for this server.
    pub fn webtransport(&self, path: &str) -> Request {
        Request::webtransport(&self.authority, path)
    }

    /// Sends a request on a new stream and leaves the stream open. Gives the stream.
    ///
    /// # Errors
    /// The connection is over.
    pub fn send(&mut self, request: &Request) -> Result<u64, Failure> {
        let id = self.client.open_bidi()?;
        self.client.write(id, &request.frame())?;
        Ok(id)
    }

    /// Waits for the head of a response.
    ///
    /// # Errors
    /// The connection or the stream ended without one, or it is not well-formed.
    pub fn response(&mut self, id: u64) -> Result<Response, Failure> {
        let what = format!("the response on stream {id}");
        let found = self.until(&what, |seen| {
            let stream = seen.stream(id);
            match Response::parse(&stream.data) {
                Ok(Some(response)) => Some(Ok(response)),
                Ok(None) if stream.ended() => Some(Err(format!("stream {id} ended without a response: {stream:?}"))),
                Ok(None) => None,
                Err(words) => Some(Err(format!("malformed response: {words}"))),
            }
        })?;
        found.map_err(Failure::Unexpected)
    }

    /// Opens a session and waits for its 200. Gives the session id.
    ///
    /// # Errors
    /// The server answered something else, or nothing.
    pub fn open_session(&mut self, path: &str) -> Result<u64, Failure> {
        let id = self.send(&self.webtransport(path))?;
        let response = self.response(id)?;
        if response.status == 200 {
            return Ok(id);
        }
        Err(Failure::unexpected(format!("{path} answered {} {:?}", response.status, response.fields)))
    }

    /// Opens a bidirectional WebTransport stream and writes its header and the first bytes of its body.
    ///
    /// # Errors
    /// The connection is over.
    pub fn open_wt_bidi(&mut self, session: u64, body: &[u8]) -> Result<u64, Failure> {
        let id = self.client.open_bidi()?;
        self.client.write(id, &[wire::bidi_header(session), body.to_vec()].concat())?;
        Ok(id)
    }

    /// Opens a unidirectional WebTransport stream and writes its header and the first bytes of its body.
    ///
    /// # Errors
    /// The connection is over.
    pub fn open_wt_uni(&mut self, session: u64, body: &[u8]) -> Result<u64, Failure> {
        let id = self.client.open_uni()?;
        self.client.write(id, &[wire::uni_header(session), body.to_vec()].concat())?;
        Ok(id)
    }

    /// Sends a message on a new bidirectional stream of an echo session and reads it back, FIN for FIN.
    ///
    /// # Errors
    /// Anything but the same bytes and a FIN came back.
    pub fn echo_bidi(&mut self, session: u64, message: &[u8]) -> Result<(), Failure> {
        let id = self.open_wt_bidi(session, message)?;
        self.client.finish(id)?;
        self.until("a bidirectional echo", |seen| seen.stream(id).ended().then_some(()))?;
        let result = require_echo(self.client.seen().stream(id), message);
        self.client.forget(id);
        result
    }

    /// Sends a message on a new unidirectional stream of an echo session and reads it back from the server's stream.
    ///
    /// # Errors
    /// Anything but the same bytes and a FIN came back.
    pub fn echo_uni(&mut self, session: u64, message: &[u8]) -> Result<(), Failure> {
        let newest = self.client.seen().opened_by_server().map(|(id, _)| id).max().unwrap_or(0);
        let id = self.open_wt_uni(session, message)?;
        self.client.finish(id)?;
        let header = wire::uni_header(session);
        let echo = self.until("a unidirectional echo", |seen| {
            let mut newer = seen.streams.range(newest + 1..).filter(|(id, _)| *id % 4 == 3);
            newer.find(|(_, stream)| stream.data.starts_with(&header) && stream.ended()).map(|(id, _)| *id)
        })?;
        let result = require_echo(self.client.seen().stream(echo), &[header.as_slice(), message].concat());
        self.client.forget(id);
        self.client.forget(echo);
        result
    }

    /// Sends a datagram to an echo session until it comes back; each one may be lost.
    ///
    /// # Errors
    /// None of many came back.
    pub fn echo_datagram(&mut self, session: u64, message: &[u8]) -> Result<(), Failure> {
        let wanted = wire::datagram(session, message);
        let known = self.client.seen().datagrams.len();
        for _ in 0..self.patience.as_millis() / DATAGRAM_RETRY.as_millis() {
            self.client.datagram(&wanted)?;
            let found =
                self.client.wait(DATAGRAM_RETRY, |seen| seen.datagrams[known..].contains(&wanted).then_some(()));
            self.client.still_alive()?;
            if found.is_some() {
                return Ok(());
            }
        }
        Err(Failure::Waited("a datagram to come back".to_owned()))
    }

    /// Writes more on an open echo stream and waits for it to come back.
    ///
    /// # Errors
    /// The stream ended, or other bytes came back.
    pub fn say(&mut self, stream: u64, message: &[u8]) -> Result<(), Failure> {
        let before = self.client.seen().stream(stream).data.len();
        self.client.write(stream, message)?;
        self.until("an echo on an open stream", |seen| {
            let stream = seen.stream(stream);
            (stream.ended() || stream.data.len() >= before + message.len()).then_some(())
        })?;
        let seen = self.client.seen().stream(stream);
        if seen.data.get(before..) == Some(message) && !seen.aborted() {
            return Ok(());
        }
        Err(Failure::unexpected(format!("an open stream stopped echoing: {}", summary(seen))))
    }

    /// Waits until `look` finds something.
    ///
    /// # Errors
    /// The connection ended first, or nothing came within [`Peer::patience`].
    pub fn until<T>(&mut self, what: &str, look: impl FnMut(&Seen) -> Option<T>) -> Result<T, Failure> {
        if let Some(found) = self.client.wait(self.patience, look) {
            return Ok(found);
        }
        self.client.still_alive()?;
        Err(Failure::Waited(what.to_owned()))
    }
}

fn require_echo(stream: &StreamSeen, message: &[u8]) -> Result<(), Failure> {
    if stream.fin && stream.data == message {
        return Ok(());
    }
    let words = format!("sent {} bytes, got {}", message.len(), summary(stream));
    Err(Failure::Unexpected(words))
}

/// A stream in few words: its bytes may be many.
fn summary(stream: &StreamSeen) -> String {
    let code = |code: Option<u64>| code.map_or("none".to_owned(), code::name);
    let (reset, stop) = (code(stream.reset), code(stream.stop));
    format!("{} bytes, fin {}, reset {reset}, stop {stop}", stream.data.len(), stream.fin)
}

const PATIENCE: Duration = Duration::from_secs(10);

/// After how long a lost datagram is sent again.
const DATAGRAM_RETRY: Duration = Duration::from_millis(500);
