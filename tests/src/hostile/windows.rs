//! Clients that grant little or nothing: the server waits, and nobody else waits with it (2.10 of the catalogue).

use super::place::{authority, echo};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{Close, DRAFT_02, Failure, Options, Request, Response, code, wire};
use Reaction::{Closes, Finishes, GoesOn};

pub(super) fn cases() -> Vec<Case> {
    vec![
        no_stream_window(),
        little_uni_credit().counts_for(Scope::OwnRoutes),
        // How an echo waits for credit is up to the program behind the route.
        no_uni_credit_for_echoes().counts_for(Scope::OwnRoutes),
        close_without_window().counts_for(Scope::OwnRoutes),
        close_amid_unread_data().counts_for(Scope::OwnRoutes),
        close_in_the_flight_of_the_connect(),
        everything_in_one_flight(),
        stopped_connect_stream(),
        error_amid_a_download().counts_for(Scope::OwnRoutes),
    ]
}

/// No stream byte may come back, not even the 200; datagrams are not under flow control and still echo.
fn no_stream_window() -> Case {
    Case::new("174 194", "a client whose stream windows stay 0", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.silent_with(&Options { stream_window: 0, ..Options::default() })?;
        attacker.peer.send_settings(DRAFT_02)?;
        let session = attacker.request(echo())?;
        let stream = attacker.peer.open_wt_bidi(session, &vec![5; 100_000])?;
        attacker.peer.client.finish(stream)?;
        attacker.peer.echo_datagram(session, b"not under flow control")?;
        let seen = attacker.peer.client.seen();
        if seen.stream(stream).data.is_empty() && seen.stream(session).data.is_empty() {
            return Ok(GoesOn);
        }
        Err(Failure::unexpected("stream bytes came without credit"))
    })
}

/// The server opens twenty streams though it may have only three open at a time.
fn little_uni_credit() -> Case {
    Case::new("215", "/streams/uni/20 with credit for 3", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.silent_with(&Options { uni_streams: 3, ..Options::default() })?;
        attacker.peer.send_settings(DRAFT_02)?;
        let session = attacker.peer.open_session("/streams/uni/20")?;
        let header = wire::uni_header(session);
        attacker.peer.until("twenty streams", |seen| {
            let complete = seen.opened_by_server().filter(|(_, stream)| stream.fin && stream.data.starts_with(&header));
            (complete.count() == 20).then_some(())
        })?;
        attacker.peer.client.finish(session)?;
        attacker.peer.until("the end of the session", |seen| seen.stream(session).ended().then_some(()))?;
        attacker.reaction_of_connection()
    })
}

/// The server may open only its control stream; what it cannot echo holds up nothing else.
fn no_uni_credit_for_echoes() -> Case {
    Case::new("215", "50 uni streams to echo, no credit for the echoes", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.silent_with(&Options { uni_streams: 1, ..Options::default() })?;
        attacker.peer.send_settings(DRAFT_02)?;
        let session = attacker.open_witness()?;
        for _ in 0..50 {
            let stream = attacker.peer.open_wt_uni(session, b"no way back")?;
            attacker.peer.client.finish(stream)?;
        }
        attacker.reaction_of_connection()
    })
}

/// The close capsule does not fit into the window of the CONNECT stream: it is reset after a short while.
fn close_without_window() -> Case {
    let expected = &[Reaction::AbortsSomehow];
    Case::new("223", "/close with a window too small for the capsule", expected, |scene: &Scene<'_>| {
        let mut attacker = scene.silent_with(&Options { stream_window: 8, ..Options::default() })?;
        attacker.peer.send_settings(DRAFT_02)?;
        let stream = attacker.peer.client.open_bidi()?;
        attacker.peer.client.leave_unread(stream);
        attacker.peer.client.write(stream, &Request::webtransport(authority(), "/close/7?reason=no%20room").frame())?;
        // A reset is seen only by reading; reading also makes room, so that it must not be tried too early.
        attacker.peer.client.rest(std::time::Duration::from_secs(2));
        attacker.peer.client.read_again(stream);
        attacker.peer.until("the end of the session", |seen| {
            let stream = seen.stream(stream);
            (stream.ended() || stream.aborted()).then_some(())
        })?;
        let seen = attacker.peer.client.seen().stream(stream);
        match (seen.reset.or(seen.stop), seen.fin) {
            (Some(code), _) => Ok(Reaction::Aborts(code)),
            (None, _) => Ok(Finishes),
        }
    })
}

/// A session ends at once though its stream is full; the connection takes the next session.
fn close_amid_unread_data() -> Case {
    Case::new("223", "close capsule amid 100 MB that are not read", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.silent_with(&Options { stream_window: 65_536, ..Options::default() })?;
        attacker.peer.send_settings(DRAFT_02)?;
        // The streams of the server start with its control stream, 3; whatever comes later stays unread.
        (7..80).step_by(4).for_each(|stream| attacker.peer.client.leave_unread(stream));
        let session = attacker.peer.open_session("/source/100000000")?;
        attacker.peer.client.rest(std::time::Duration::from_millis(200));
        attacker.peer.client.write(session, &wire::data(&wire::close(0, b"enough")))?;
        attacker.peer.client.finish(session)?;
        attacker.peer.until("the end of the session", |seen| seen.stream(session).ended().then_some(()))?;
        attacker.reaction_of_connection()
    })
}

/// The session is accepted, and over.
fn close_in_the_flight_of_the_connect() -> Case {
    Case::new("W17", "close capsule in the flight of the CONNECT", &[Finishes], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let connect = attacker.peer.client.open_bidi()?;
        let headers = Request::webtransport(authority(), echo()).frame();
        attacker.peer.client.write(connect, &[headers, wire::data(&wire::close(3, b"already"))].concat())?;
        let seen = attacker.peer.until("the end of the session", |seen| {
            let stream = seen.stream(connect);
            (stream.ended() || stream.aborted()).then(|| stream.clone())
        })?;
        attacker.others_go_on()?;
        let status = Response::parse(&seen.data).unwrap_or(None).map(|response| response.status);
        match (status, seen.fin) {
            (Some(200), true) => Ok(Finishes),
            _ => Err(Failure::unexpected(format!("status {status:?}, then {:?}", seen.reset.map(code::name)))),
        }
    })
}

/// SETTINGS, CONNECT, streams and datagrams before a single byte of the server was seen.
fn everything_in_one_flight() -> Case {
    Case::new("W45", "SETTINGS, CONNECT, stream and datagram in one flight", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.silent()?;
        let connect = attacker.peer.client.open_bidi()?;
        let stream = attacker.peer.open_wt_bidi(connect, b"at once")?;
        attacker.peer.client.datagram(&wire::datagram(connect, b"at once"))?;
        attacker.peer.client.write(connect, &Request::webtransport(authority(), echo()).frame())?;
        attacker.peer.send_settings(DRAFT_02)?;
        attacker.peer.response(connect)?;
        attacker.peer.until("the echo of the stream", |seen| (seen.stream(stream).data == b"at once").then_some(()))?;
        attacker.adopt(connect)?;
        attacker.reaction_of_connection()
    })
}

/// We stop the server's half of the CONNECT stream: nobody can close this session in good order any more. Whether the
/// server ends it or lets it live until we end ours, the next session must open.
fn stopped_connect_stream() -> Case {
    Case::new("E7", "STOP_SENDING on the CONNECT stream, then FIN", &[GoesOn], |scene: &Scene<'_>| {
        let mut attacker = scene.in_session()?;
        let (connect, witness) = (attacker.session()?, attacker.witness()?);
        attacker.peer.client.stop(connect, code::H3_REQUEST_CANCELLED)?;
        attacker.peer.client.finish(connect)?;
        attacker
            .peer
            .until("the streams of the session to end", |seen| seen.stream(witness).aborted().then_some(()))?;
        attacker.give_up_session();
        attacker.reaction_of_connection()
    })
}

/// The server has much more to send than the network takes; the code of the error must come all the same.
/// (quinn-proto keeps CONNECTION_CLOSE back while other data waits for the congestion window or the pacer.)
fn error_amid_a_download() -> Case {
    let expected = &[Closes(code::H3_FRAME_UNEXPECTED)];
    Case::new("h41", "DATA on the control stream amid a download, 20 times", expected, |scene: &Scene<'_>| {
        for attempt in 0..20 {
            let mut attacker = scene.silent_with(&Options { stream_window: 64 << 20, ..Options::default() })?;
            attacker.peer.send_settings(DRAFT_02)?;
            attacker.peer.open_session("/source/10000000000")?;
            attacker.peer.client.rest(std::time::Duration::from_millis(attempt * 3));
            let control = attacker.peer.control()?;
            attacker.peer.client.write(control, &wire::data(b"x"))?;
            match attacker.peer.until("the end of the connection", |seen| seen.close.clone())? {
                Close::Application { code: code::H3_FRAME_UNEXPECTED, .. } => {}
                other => return Err(Failure::unexpected(format!("attempt {attempt}: {other}"))),
            }
        }
        Ok(expected[0])
    })
}
