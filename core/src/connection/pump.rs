//! From QUIC inwards: what its events mean, and reading the streams that HTTP/3 reads.

use std::time::Duration;

use bytes::Bytes;

use super::quic::{NoBytes, QuicEvent, Read, Write};
use super::streams::{Entry, HttpStream, RecvHalf, SendHalf};
use super::{Connection, Timer};
use crate::h3::{FIRST_READ, GLITCH_REFUSED};
use crate::session::SessionState;
use crate::session::transition::Input;
use crate::wire::{app_error, datagram};
use crate::{Direction, ErrorCode, Event, Role, SessionId, StreamId};

impl Connection {
    /// Takes everything QUIC has to report.
    pub(super) fn pump(&mut self) {
        while let Some(event) = self.quic.poll() {
            self.quic_event(event);
            self.act();
        }
        // After everything else: a peer that goes away like this may have said something before.
        if self.control_stopped && self.error.is_none() {
            self.violation(ErrorCode::H3_CLOSED_CRITICAL_STREAM, "the control stream was stopped");
        }
    }

    fn quic_event(&mut self, event: QuicEvent) {
        if self.error.is_some() {
            return;
        }
        match event {
            QuicEvent::Handshaking => self.open_control(),
            QuicEvent::Connected => self.handshake_done(),
            QuicEvent::Lost(error) => self.end(error, None),
            QuicEvent::Opened(direction) => {
                self.read_answers();
                while let Some(stream) = self.quic.accept(direction) {
                    self.stream_opened(stream);
                }
            }
            QuicEvent::Readable(stream) => self.stream_readable(stream),
            QuicEvent::Writable(stream) => self.stream_writable(stream),
            QuicEvent::Finished(stream) => self.stream_acknowledged(stream),
            QuicEvent::Stopped(stream, code) => self.stream_stopped(stream, code),
            QuicEvent::Available(direction) => {
                self.open_control();
                self.hints.push(Event::StreamsAvailable { direction });
            }
            QuicEvent::DatagramReceived => {
                self.read_answers();
                while let Some(datagram) = self.quic.recv_datagram() {
                    self.datagram_received(datagram);
                }
            }
        }
    }

    #[cold]
    fn handshake_done(&mut self) {
        self.connected = true;
        // In this order, in which the list of timers never becomes empty and its memory stays.
        self.timers.set(Timer::Settings, self.now.checked_add(self.config.settings_timeout));
        self.timers.set(Timer::Handshake, None);
        let takes_datagrams = self.quic.max_datagram_size().is_some_and(|size| size > 0);
        self.h3.set_peer_takes_datagrams(takes_datagrams);
        self.open_control();
        self.announce();
    }

    /// Says that requests can be made and will be seen, once both QUIC and SETTINGS are there.
    pub(super) fn announce(&mut self) {
        if self.connected && self.h3.has_settings() && !self.announced {
            self.announced = true;
            self.timers.set(Timer::Settings, None);
            self.hints.push(Event::Connected);
        }
    }

    /// Opens our control stream as early as QUIC lets us: a server before the handshake is complete, so that SETTINGS
    /// travel in its first flight (RFC 9114, section 6.2.1, wants them sent without waiting).
    #[cold]
    fn open_control(&mut self) {
        if self.control.is_some() {
            return;
        }
        let Some(stream) = self.quic.open(Direction::Unidirectional) else { return };
        self.control = Some(stream);
        let mut http = HttpStream::default();
        http.outbox.push_back(self.h3.control_preface());
        self.streams.insert(stream, Entry::Http(http));
        self.flush(stream);
    }

    /// On a client: what came in one batch with the answer to a request belongs to the session, and must not look early.
    fn read_answers(&mut self) {
        if self.role() == Role::Server {
            return;
        }
        for id in self.sessions.ids() {
            if self.sessions.get(id).is_some_and(|session| session.is_live() && !session.is_open()) {
                self.read_http(id.stream());
            }
        }
    }

    fn stream_opened(&mut self, stream: StreamId) {
        if stream.direction() == Direction::Bidirectional && stream.initiator() == Role::Client {
            self.client_bidi_opened = self.client_bidi_opened.max(stream.0 / 4 + 1);
        }
        // One that was opened before it in the same batch may have ended the connection.
        if self.error.is_some() {
            return;
        }
        let Self { h3, quic, sessions, streams, .. } = self;
        let mut session = None;
        let (first, ahead) = quic.read_first(stream, FIRST_READ, |bytes| {
            // Most streams belong to open sessions and say so in their first packet: those take no detour.
            session = h3.session_of(stream, bytes);
            let open = sessions.get(session?).is_some_and(SessionState::is_open);
            open.then(|| streams.may_read_ahead(stream)).flatten()
        });
        if let Some(session) = session {
            return self.attach(stream, session, None, ahead);
        }
        self.h3.opened(stream);
        self.streams.insert(stream, Entry::Http(HttpStream::default()));
        self.http_read(stream, first);
        self.act();
        self.read_http(stream);
    }

    /// A STREAM frame arrived: quinn-proto reports each one, except the first of a stream.
    fn stream_readable(&mut self, stream: StreamId) {
        let (unread_frames, of_session) = self.streams.frame_arrived(stream);
        if unread_frames > self.config.max_unread_frames {
            return self.violation(ErrorCode::H3_EXCESSIVE_LOAD, "too many pieces of streams that cannot be read");
        }
        match of_session {
            None => self.read_http(stream),
            Some(entry) if entry.held => {
                let session = entry.session;
                if self.quic.take_reset(stream).is_some() {
                    self.early.forget(stream);
                    self.unseen(Some(session), stream);
                    self.reject(stream, ErrorCode::WT_BUFFERED_STREAM_REJECTED);
                }
            }
            Some(entry) if entry.recv == RecvHalf::Open => self.hints.push(Event::StreamReadable { stream }),
            Some(_) => {}
        }
    }

    /// Reads a stream as far as HTTP/3 wants it.
    pub(super) fn read_http(&mut self, stream: StreamId) {
        loop {
            let wanted = self.h3.wants(stream);
            if wanted == 0 || self.error.is_some() {
                break;
            }
            let read = self.read_quic(stream, wanted);
            if !self.http_read(stream, read) {
                // Closed: its end was read, or it was stopped, before it was answered.
                self.stop_answered(stream);
                break;
            }
            self.act();
        }
        if self.error.is_some() {
            return;
        }
        self.stop_large_body(stream);
        // A request that waits for its answer is not read, but its client may give up.
        if self.h3.knows(stream)
            && self.h3.wants(stream) == 0
            && let Some(code) = self.quic.take_reset(stream)
        {
            self.h3.reset(stream, code);
            self.act();
        }
        self.watch(stream);
    }

    /// Tells HTTP/3 what was read of a stream; whether there was anything.
    fn http_read(&mut self, stream: StreamId, read: Read) -> bool {
        match read {
            Ok(bytes) => self.h3.received(stream, bytes),
            Err(NoBytes::End) => self.h3.finished(stream),
            Err(NoBytes::Reset(code)) => self.h3.reset(stream, code),
            Err(NoBytes::Blocked | NoBytes::Closed) => return false,
        }
        true
    }

    /// What an answered request still had to say was read; the rest is not wanted.
    fn stop_answered(&mut self, stream: StreamId) {
        if self.streams.http(stream).is_some_and(|http| http.answered) {
            self.stop_quic(stream, ErrorCode::H3_NO_ERROR);
            self.h3.done(SessionId(stream.0));
            self.act();
        }
    }

    /// Keeps the deadline of a stream that has not said yet what it is or wants.
    fn watch(&mut self, stream: StreamId) {
        let timer = Timer::Undecided(stream);
        if !self.h3.is_dawdling(stream) {
            self.timers.set(timer, None);
        } else if !self.timers.contains(timer) {
            self.timers.set(timer, self.now.checked_add(self.config.request_timeout));
        }
    }

    fn stream_writable(&mut self, stream: StreamId) {
        let Some(entry) = self.streams.webtransport(stream) else { return self.flush(stream) };
        let tell = std::mem::take(&mut entry.write_blocked) && entry.send == SendHalf::Open;
        self.room_for(stream);
        self.flush_preamble(stream);
        if tell {
            self.hints.push(Event::StreamWritable { stream });
        }
    }

    /// Everything up to the FIN has arrived at the peer.
    fn stream_acknowledged(&mut self, stream: StreamId) {
        let Some(entry) = self.streams.webtransport(stream) else { return };
        if entry.send == SendHalf::Finishing {
            self.set_send(stream, SendHalf::Done);
            self.hints.push(Event::StreamFinished { stream });
        }
    }

    fn stream_stopped(&mut self, stream: StreamId, code: ErrorCode) {
        if self.control == Some(stream) {
            self.control_stopped = true;
            return;
        }
        if self.streams.webtransport(stream).is_some() {
            return self.webtransport_stopped(stream, code);
        }
        // Also when the stream is forgotten here: QUIC keeps it, and the peer its credit, until it is reset.
        self.quic.reset(stream, code);
        if self.http_cancelled(stream) {
            return;
        }
        let Some(http) = self.streams.http(stream) else { return };
        http.outbox.clear();
        http.finish = false;
        http.stopped = Some(code);
        if http.forgotten {
            return self.streams.remove(stream);
        }
        let id = SessionId(stream.0);
        let unanswered = self.sessions.get(id).is_some_and(|session| session.is_live() && !session.is_open());
        if unanswered && self.role() == Role::Server {
            // Whoever does not want the answer does not want the session.
            self.apply(id, Input::PeerReset { code });
        } else {
            self.apply(id, Input::PeerStop { code });
        }
    }

    /// The peer stopped a stream of a session.
    ///
    /// RFC 9000, section 3.5, wants a reset of the same code in answer, and it is sent here, not by the application.
    /// When the application may want to stop the other half with a code of its own, the reset waits a little: Chromium
    /// 156 loses the code of a STOP_SENDING when both halves of a stream end at the same moment.
    pub(super) fn webtransport_stopped(&mut self, stream: StreamId, code: ErrorCode) {
        let Some(entry) = self.streams.webtransport(stream) else { return };
        let (half, other_is_open, held) = (entry.send, entry.recv == RecvHalf::Open, entry.held);
        match half {
            SendHalf::Open if other_is_open => {
                self.timers.set(Timer::StopAnswer(stream, code), self.now.checked_add(STOP_ANSWER_DELAY));
            }
            SendHalf::Open | SendHalf::Finishing => _ = self.quic.reset(stream, code),
            SendHalf::Stopped(_) | SendHalf::Done => {}
        }
        match half {
            SendHalf::Open => {
                self.set_send(stream, SendHalf::Stopped(code));
                if !held {
                    self.hints.push(Event::StreamWritable { stream });
                }
            }
            SendHalf::Finishing => {
                self.set_send(stream, SendHalf::Done);
                self.hints.push(Event::StreamStopped { stream, code: app_error::from_http3(code.0) });
            }
            SendHalf::Stopped(_) | SendHalf::Done => {}
        }
    }

    /// Writes what waits on a stream of HTTP/3, as far as QUIC has room.
    pub(super) fn flush(&mut self, stream: StreamId) {
        let Some(http) = self.streams.http(stream) else { return };
        while let Some(bytes) = http.outbox.front_mut() {
            match self.quic.write_bytes(stream, bytes) {
                Write::Taken(_) if bytes.is_empty() => {
                    http.outbox.pop_front();
                }
                Write::Taken(_) => {}
                Write::Blocked => return,
                Write::Stopped(_) | Write::Closed => http.outbox.clear(),
            }
        }
        if std::mem::take(&mut http.finish) {
            self.quic.finish(stream);
        }
        if http.forgotten {
            self.streams.remove(stream);
        }
    }

    /// Writes the header of a stream of ours, or as much as there is room for.
    pub(super) fn write_preamble(&mut self, stream: StreamId, mut preamble: Bytes) {
        if !self.write_some(stream, &mut preamble)
            && let Some(entry) = self.streams.webtransport(stream)
        {
            entry.preamble = Some(Box::new(preamble));
        }
    }

    /// Writes what is left of a stream's header, then the FIN if it was asked for. Returns whether all of it left.
    pub(super) fn flush_preamble(&mut self, stream: StreamId) -> bool {
        let Some(entry) = self.streams.webtransport(stream) else { return false };
        let (preamble, finish) = (entry.preamble.take(), entry.finish_after_preamble);
        if let Some(mut preamble) = preamble
            && !self.write_some(stream, &mut preamble)
        {
            if let Some(entry) = self.streams.webtransport(stream) {
                entry.preamble = Some(preamble);
            }
            return false;
        }
        if finish && let Some(entry) = self.streams.webtransport(stream) {
            entry.finish_after_preamble = false;
            self.quic.finish(stream);
        }
        true
    }

    /// Writes while there is room. Returns whether nothing is left that anybody wants.
    fn write_some(&mut self, stream: StreamId, bytes: &mut Bytes) -> bool {
        while !bytes.is_empty() {
            match self.quic.write_bytes(stream, bytes) {
                Write::Taken(_) => {}
                Write::Blocked => return false,
                Write::Stopped(_) | Write::Closed => return true,
            }
        }
        true
    }

    fn datagram_received(&mut self, datagram: Bytes) {
        match datagram::decode(datagram) {
            Ok((session, payload)) => self.deliver_datagram(SessionId(session), payload),
            // RFC 9297, section 2.1.
            Err(error) => self.violation(ErrorCode::H3_DATAGRAM_ERROR, &error.to_string()),
        }
    }

    fn deliver_datagram(&mut self, id: SessionId, payload: Bytes) {
        if let Some(session) = self.sessions.get(id) {
            if session.is_open() {
                self.queue_datagram(id, payload);
            } else if session.is_live() {
                self.hold_datagram(id, payload);
            }
            return;
        }
        if self.sessions.past(id).is_some() {
            return;
        }
        if self.may_become_session(id) {
            self.hold_datagram(id, payload);
        } else if self.h3.knows(id.stream()) {
            // RFC 9297, section 2: a plain request gives datagrams no meaning.
            self.h3.abort(id, ErrorCode::H3_DATAGRAM_ERROR);
        } else {
            self.glitch(GLITCH_REFUSED);
        }
    }

    fn hold_datagram(&mut self, session: SessionId, payload: Bytes) {
        let Some(deadline) = self.hold_deadline(session) else { return };
        // A copy, since the payload would keep the whole packet it came in.
        if self.early.hold_datagram(session, deadline, Bytes::copy_from_slice(&payload)) {
            self.timers.set(Timer::Early, self.early.deadline());
            return;
        }
        self.counters.datagrams_dropped += 1;
        // Who waits for an answer may send meanwhile; who never asked is odd.
        if self.sessions.get(session).is_none() {
            self.glitch(1);
        }
    }
}

/// How long the reset that answers a STOP_SENDING waits for the application to stop the other half.
const STOP_ANSWER_DELAY: Duration = Duration::from_millis(50);
