//! What one side is told, compared with what the other side has done.

use transom_core::{Connection, ConnectionError, ErrorCode, Event, SessionEnd, SessionId};

use super::app::App;
use super::model::{Verdict, require};
use super::shared::Shared;

/// An event between well-behaved peers: what it says must have happened.
pub(super) fn event(app: &App, shared: &mut Shared, event: &Event) -> Verdict {
    let (number, down) = (app.number, app.down);
    match event {
        Event::SessionRequested { session } => {
            require(!shared.ledger.session(number, *session).path.is_empty(), "nobody asked for it")
        }
        Event::SessionEstablished { session, .. } => {
            require(shared.ledger.session(number, *session).accepted, "the server did not accept")
        }
        Event::SessionRefused { session, response } => {
            let facts = shared.ledger.session(number, *session);
            let status = response.status().as_u16();
            // 503: the core's own, when nobody answered in time or the server winds down.
            let known = facts.refused == Some(status) || status == 503;
            require(known, format_args!("{status} where {:?} was answered", facts.refused))?;
            shared.ledger.session_over(number, *session, down);
            Ok(())
        }
        Event::SessionDraining { session } => {
            require(shared.ledger.session(number, *session).drained[usize::from(!down)], "the peer did not drain")
        }
        Event::SessionEnded { session, end } => session_end(shared, number, down, *session, end),
        Event::StreamReadable { stream } => {
            require(shared.ledger.is_opened(app.key(*stream, !down)), "nobody opened the stream")
        }
        Event::StreamStopped { stream, code } => shared.ledger.saw_stop(app.key(*stream, down), *code),
        Event::ConnectionLost { error } => connection_end(shared, number, down, app.model.connected, error),
        _ => Ok(()),
    }
}

fn session_end(shared: &mut Shared, number: usize, down: bool, id: SessionId, end: &SessionEnd) -> Verdict {
    let silent = shared.ends(number).may_be_silent;
    let facts = shared.ledger.session(number, id);
    let other = usize::from(!down);
    match end {
        SessionEnd::ClosedByPeer { code, reason } => {
            let said = Some((*code, reason.clone()));
            require(facts.closed[other] == said, format_args!("the peer said {:?}", facts.closed[other]))?;
        }
        SessionEnd::ClosedLocally { code, reason } => facts.closed[usize::from(down)] = Some((*code, reason.clone())),
        SessionEnd::Aborted { .. } => {
            // A request whose headers came too late.
            let late = silent && !facts.accepted;
            require(facts.over[other] || late, "the peer did not abort")?;
        }
        // A client may ask again before the server knows that the session before is over.
        SessionEnd::NotProcessed => require(!down && !facts.accepted, "the server did accept")?,
        SessionEnd::AnswerTimedOut => {}
        SessionEnd::ConnectionLost(error) => {
            require(!matches!(error, ConnectionError::PeerMisbehaved { .. }) || silent, "the peer is well-behaved")?;
        }
        other => return Err(format!("{other:?} between well-behaved peers")),
    }
    shared.ledger.session_over(number, id, down);
    Ok(())
}

fn connection_end(shared: &mut Shared, number: usize, down: bool, connected: bool, error: &ConnectionError) -> Verdict {
    let refusing = shared.server_closing;
    let ends = shared.ends(number);
    let other = usize::from(!down);
    let excused = ends.may_be_silent
        || (ends.rebound && ends.may_fail_to_connect)
        || (ends.may_fail_to_connect && !(connected && ends.connected[other]));
    // Whoever failed before it could be known has not told us its reasons.
    let unknown = excused && !ends.connected[other];
    let allowed = unknown
        || match error {
            // A server that winds down also closes connections of which it has not heard much yet.
            ConnectionError::ClosedLocally { code, .. } if down && refusing && *code == ErrorCode::H3_NO_ERROR => true,
            ConnectionError::ClosedLocally { .. } => ends.closed[usize::from(down)].is_some(),
            ConnectionError::ClosedByPeer { code, .. } => ends.closed[other] == Some(*code),
            // 0xc: an application's close during the handshake (RFC 9000, section 20.1).
            ConnectionError::Transport { code: 0xc, .. } | ConnectionError::Reset => ends.over[other],
            ConnectionError::Transport { code: 2, .. } => refusing,
            ConnectionError::TimedOut => excused || ends.over[other],
            ConnectionError::PeerMisbehaved { code, .. } => excused && *code == ErrorCode::H3_MISSING_SETTINGS,
            _ => false,
        };
    let words = format!("not excused, known is {ends:?}");
    match error {
        ConnectionError::PeerMisbehaved { code, .. } => ends.closed[usize::from(down)] = Some(*code),
        ConnectionError::ClosedLocally { code, .. } => _ = ends.closed[usize::from(down)].get_or_insert(*code),
        // What a server or client says when the handshake takes too long.
        ConnectionError::TimedOut => _ = ends.closed[usize::from(down)].get_or_insert(ErrorCode::H3_NO_ERROR),
        _ => {}
    }
    ends.over[usize::from(down)] = true;
    if matches!(error, ConnectionError::TimedOut) {
        shared.counts.silent += 1;
    }
    require(allowed, words)
}

/// The end of a misbehaving client's connection: if we closed it, then with a code of HTTP/3 or WebTransport.
pub(super) fn any_end(event: &Event) -> Verdict {
    let Event::ConnectionLost { error } = event else { return Ok(()) };
    match error {
        ConnectionError::PeerMisbehaved { code, .. } => require(is_known(*code), "no code of HTTP/3"),
        ConnectionError::Transport { code, .. } => require(matches!(code, 0x2 | 0xc), "QUIC was not broken"),
        _ => Ok(()),
    }
}

/// Whether a code is one of HTTP/3, QPACK, HTTP Datagrams or WebTransport.
pub(super) fn is_known(code: ErrorCode) -> bool {
    let ErrorCode(number) = code;
    let webtransport = [
        ErrorCode::WT_BUFFERED_STREAM_REJECTED,
        ErrorCode::WT_SESSION_GONE,
        ErrorCode::WT_FLOW_CONTROL_ERROR,
        ErrorCode::WT_ALPN_ERROR,
        ErrorCode::WT_REQUIREMENTS_NOT_MET,
    ];
    matches!(number, 0x33 | 0x100..=0x110 | 0x200..=0x202) || webtransport.contains(&code)
}

/// The server sees the request as the client made it.
pub(super) fn requested(app: &App, connection: &mut Connection, shared: &mut Shared, session: SessionId) -> Verdict {
    let wanted = shared.ledger.session(app.number, session).path.clone();
    match connection.request(session).map(|request| request.path_and_query()) {
        Some(path) => require(path == wanted, format_args!("asked for {wanted}, seen is {path}")),
        // Its end has been heard and waits its turn.
        None => Ok(()),
    }
}

/// The client sees the subprotocol that the server chose.
pub(super) fn established(app: &App, connection: &mut Connection, _: &mut Shared, session: SessionId) -> Verdict {
    let Some(session) = connection.session(session) else { return Ok(()) };
    let offered = session.request().and_then(|request| request.protocols().first().cloned());
    let chosen = session.response().and_then(|response| response.protocol().map(str::to_owned));
    require(offered == chosen, app.blame(&format!("offered {offered:?}, chosen {chosen:?}")))
}
