//! Every state of a stream with every two commands in a row, and every two things that both ends of a session can do at the
//! same moment.

use std::time::Duration;

use transom_core::{Direction, Event, ReadError, Response, SessionEnd, SessionId, StreamId, WriteError};
use transom_tests::simulation::Pair;

const CODE: u32 = 9;
const MOMENT: Duration = Duration::from_millis(200);

/// A sending half, as the application can know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    Finished,
    Acknowledged,
    Reset,
    StoppedByPeer,
    SessionOver,
    NeverThere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendCommand {
    Write,
    Finish,
    Reset,
}

/// The table: what a command answers, and which state follows.
fn send_model(state: Sending, command: SendCommand) -> (Result<(), WriteError>, Sending) {
    match (state, command) {
        (Sending::Open, SendCommand::Write) => (Ok(()), state),
        (Sending::Open, SendCommand::Finish) => (Ok(()), Sending::Finished),
        // A stop has been answered with a reset already, with the peer's code; what comes after it is only told of it.
        (Sending::Open | Sending::Finished | Sending::StoppedByPeer, SendCommand::Reset) => (Ok(()), Sending::Reset),
        (Sending::StoppedByPeer, _) => (Err(WriteError::Stopped(Some(CODE))), Sending::Reset),
        _ => (Err(WriteError::Closed), state),
    }
}

/// The id of a stream that no other connection here has: from one that has opened as many as it may.
fn never_there() -> StreamId {
    let mut pair = Pair::connected();
    let session = pair.session("/");
    let streams =
        std::iter::from_fn(|| pair.client.connection().session(session)?.open(Direction::Unidirectional).ok());
    streams.last().unwrap()
}

fn send_in(pair: &mut Pair, session: SessionId, state: Sending) -> StreamId {
    if state == Sending::NeverThere {
        return never_there();
    }
    let stream = pair.client.connection().session(session).unwrap().open(Direction::Unidirectional).unwrap();
    pair.client.connection().send_stream(stream).write(b"x").unwrap();
    match state {
        Sending::Open | Sending::SessionOver | Sending::NeverThere => {}
        Sending::Finished => pair.client.connection().send_stream(stream).finish().unwrap(),
        Sending::Acknowledged => {
            pair.client.connection().send_stream(stream).finish().unwrap();
            pair.run_for(MOMENT);
        }
        Sending::Reset => pair.client.connection().send_stream(stream).reset(1).unwrap(),
        Sending::StoppedByPeer => {
            pair.run_for(MOMENT);
            let theirs = pair.server.accept(session, Direction::Unidirectional).unwrap();
            pair.server.connection().recv_stream(theirs).stop(CODE).unwrap();
            pair.run_for(MOMENT);
        }
    }
    if state == Sending::SessionOver {
        pair.client.connection().session(session).unwrap().close(0, "");
    }
    stream
}

#[test]
fn every_state_of_a_sending_half_answers_every_two_commands_as_the_table_says() {
    let states = [
        Sending::Open,
        Sending::Finished,
        Sending::Acknowledged,
        Sending::Reset,
        Sending::StoppedByPeer,
        Sending::NeverThere,
        Sending::SessionOver,
    ];
    let commands = [SendCommand::Write, SendCommand::Finish, SendCommand::Reset];
    let mut pair = Pair::connected();
    let mut session = pair.session("/");
    for state in states {
        for two in commands.iter().flat_map(|first| commands.iter().map(move |second| [*first, *second])) {
            if pair.client.connection().session(session).is_none() {
                pair.run_for(Duration::from_secs(5));
                session = pair.session("/");
            }
            let stream = send_in(&mut pair, session, state);
            let mut model = state;
            for command in two {
                let mut half = pair.client.connection().send_stream(stream);
                assert_eq!(half.is_open(), model == Sending::Open, "{state:?}, {two:?}");
                let told = (model == Sending::StoppedByPeer).then_some(Some(CODE));
                assert_eq!(half.stopped(), told, "{state:?}, {two:?}");
                let answer = match command {
                    SendCommand::Write => half.write(b"y").map(|written| assert_eq!(written, 1)),
                    SendCommand::Finish => half.finish(),
                    SendCommand::Reset => half.reset(2),
                };
                let (expected, next) = send_model(model, command);
                assert_eq!(answer, expected, "{state:?}, {two:?}, {command:?}");
                model = next;
            }
            // Let go of it, so that streams do not run out.
            let _ = pair.client.connection().send_stream(stream).reset(0);
            pair.run_for(MOMENT);
            while let Some(theirs) = pair.server.accept(session, Direction::Unidirectional) {
                let _ = pair.server.connection().recv_stream(theirs).stop(0);
            }
        }
    }
}

/// A receiving half, as the application can know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    Empty,
    WithData,
    AtItsEnd,
    ResetByPeer,
    Done,
    SessionOver,
    NeverThere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecvCommand {
    Read,
    Stop,
}

fn recv_model(state: Receiving, command: RecvCommand) -> (Result<Option<Vec<u8>>, ReadError>, Receiving) {
    match (state, command) {
        (Receiving::Done | Receiving::SessionOver | Receiving::NeverThere, _) => (Err(ReadError::Closed), state),
        (_, RecvCommand::Stop) | (Receiving::AtItsEnd, RecvCommand::Read) => (Ok(None), Receiving::Done),
        (Receiving::Empty, RecvCommand::Read) => (Err(ReadError::Blocked), state),
        (Receiving::WithData, RecvCommand::Read) => (Ok(Some(b"x".to_vec())), Receiving::Empty),
        (Receiving::ResetByPeer, RecvCommand::Read) => (Err(ReadError::Reset(Some(CODE))), Receiving::Done),
    }
}

fn recv_in(pair: &mut Pair, session: SessionId, state: Receiving) -> StreamId {
    if state == Receiving::NeverThere {
        return never_there();
    }
    let theirs = pair.server.connection().session(session).unwrap().open(Direction::Unidirectional).unwrap();
    let mut half = pair.server.connection().send_stream(theirs);
    match state {
        Receiving::WithData => assert_eq!(half.write(b"x"), Ok(1)),
        Receiving::AtItsEnd | Receiving::Done => half.finish().unwrap(),
        _ => {}
    }
    pair.run_for(MOMENT);
    let stream = pair.client.accept(session, Direction::Unidirectional).unwrap();
    match state {
        Receiving::ResetByPeer => {
            pair.server.connection().send_stream(theirs).reset(CODE).unwrap();
            pair.run_for(MOMENT);
        }
        Receiving::Done => assert_eq!(pair.client.read(stream), Ok((Vec::new(), true))),
        Receiving::SessionOver => pair.client.connection().session(session).unwrap().close(0, ""),
        _ => {}
    }
    stream
}

#[test]
fn every_state_of_a_receiving_half_answers_every_two_commands_as_the_table_says() {
    let states = [
        Receiving::Empty,
        Receiving::WithData,
        Receiving::AtItsEnd,
        Receiving::ResetByPeer,
        Receiving::Done,
        Receiving::NeverThere,
        Receiving::SessionOver,
    ];
    let commands = [RecvCommand::Read, RecvCommand::Stop];
    let mut pair = Pair::connected();
    let mut session = pair.session("/");
    for state in states {
        for two in commands.iter().flat_map(|first| commands.iter().map(move |second| [*first, *second])) {
            if pair.client.connection().session(session).is_none() {
                pair.run_for(Duration::from_secs(5));
                session = pair.session("/");
            }
            let stream = recv_in(&mut pair, session, state);
            let mut model = state;
            for command in two {
                let mut half = pair.client.connection().recv_stream(stream);
                let answer = match command {
                    RecvCommand::Read => half.read(100).map(|bytes| bytes.map(|bytes| bytes.to_vec())),
                    RecvCommand::Stop => half.stop(1).map(|()| None),
                };
                let (expected, next) = recv_model(model, command);
                assert_eq!(answer, expected, "{state:?}, {two:?}, {command:?}");
                model = next;
            }
        }
    }
}

/// What one end of a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Nothing,
    Accept,
    Refuse,
    Close(u32),
    Finish,
    Drain,
}

fn act(pair: &mut Pair, session: SessionId, client: Does, server: Does) {
    for (side, does) in [(&mut pair.client, client), (&mut pair.server, server)] {
        let connection = side.connection();
        match does {
            Does::Nothing => {}
            Does::Accept => drop(connection.accept(session, Response::accept()).unwrap()),
            Does::Refuse => connection.refuse(session, Response::new(http::StatusCode::FORBIDDEN)).unwrap(),
            Does::Close(code) => connection.session(session).unwrap().close(code, "r"),
            Does::Finish => connection.session(session).unwrap().finish(),
            Does::Drain => connection.session(session).unwrap().drain(),
        }
    }
}

/// How often each side was told of an end, and with what.
fn ends(events: &[Event]) -> Vec<&SessionEnd> {
    let ends =
        events.iter().filter_map(|event| if let Event::SessionEnded { end, .. } = event { Some(end) } else { None });
    ends.collect()
}

#[test]
fn open_sessions_end_once_on_both_sides_whatever_both_do_at_the_same_moment() {
    let all = [Does::Nothing, Does::Close(1), Does::Finish, Does::Drain];
    let mut pair = Pair::connected();
    for (client, server) in all.iter().flat_map(|client| all.iter().map(move |server| (*client, *server))) {
        let session = pair.session("/");
        pair.client.take_events();
        pair.server.take_events();
        act(&mut pair, session, client, server);
        pair.run_for(Duration::from_secs(4));
        let (heard, seen) = (pair.client.take_events(), pair.server.take_events());
        let is_end = |does| matches!(does, Does::Close(_) | Does::Finish);
        let expected = usize::from(is_end(client) || is_end(server));
        for (events, mine, theirs) in [(&heard, client, server), (&seen, server, client)] {
            assert_eq!(ends(events).len(), expected, "{client:?}, {server:?}: {events:?}");
            assert!(ends(events).iter().all(|end| end.is_clean()), "{client:?}, {server:?}: {events:?}");
            let closed = if let Does::Close(code) = mine { Some(code) } else { None };
            if let (Some(code), Some(end)) = (closed, ends(events).first()) {
                assert_eq!(**end, SessionEnd::ClosedLocally { code, reason: "r".to_owned() }, "{client:?}, {server:?}");
            }
            let draining = events.contains(&Event::SessionDraining { session });
            assert!(!draining || theirs == Does::Drain, "{client:?}, {server:?}: {events:?}");
            assert!(draining || theirs != Does::Drain || is_end(mine), "{client:?}, {server:?}: {events:?}");
        }
        if expected == 0 {
            act(&mut pair, session, Does::Close(0), Does::Nothing);
            pair.run_for(Duration::from_secs(4));
        }
    }
}

#[test]
fn requests_are_settled_once_whatever_both_do_at_the_same_moment() {
    let clients = [Does::Nothing, Does::Close(1)];
    let servers = [Does::Nothing, Does::Accept, Does::Refuse, Does::Close(1), Does::Drain, Does::Finish];
    let mut pair = Pair::connected();
    for (client, server) in clients.iter().flat_map(|client| servers.iter().map(move |server| (*client, *server))) {
        let request = transom_core::Request::new("localhost", "/");
        let session = pair.client.connection().request_session(request).unwrap();
        pair.run_until(|pair| pair.server.saw(&Event::SessionRequested { session }));
        pair.client.take_events();
        pair.server.take_events();
        act(&mut pair, session, client, server);
        pair.run_for(Duration::from_secs(4));
        let (heard, seen) = (pair.client.take_events(), pair.server.take_events());
        let refused = heard.iter().filter(|event| matches!(event, Event::SessionRefused { .. })).count();
        let established = heard.iter().any(|event| matches!(event, Event::SessionEstablished { .. }));
        let words = format!("{client:?}, {server:?}: {heard:?}, {seen:?}");
        match (client, server) {
            (Does::Nothing, Does::Accept) => assert!(established && ends(&seen).is_empty(), "{words}"),
            (Does::Nothing, Does::Refuse) => assert!(refused == 1 && ends(&seen).is_empty(), "{words}"),
            // To drain or to finish what is not open yet says nothing.
            (Does::Nothing, Does::Nothing | Does::Drain | Does::Finish) => {
                assert!(!established && refused + ends(&heard).len() + ends(&seen).len() == 0, "{words}");
            }
            (Does::Nothing, _) => assert!(refused + ends(&heard).len() == 1 && ends(&seen).len() == 1, "{words}"),
            (_, Does::Refuse) => assert!(ends(&heard).len() == 1 && ends(&seen).is_empty(), "{words}"),
            _ => assert!(ends(&heard).len() == 1 && ends(&seen).len() == 1, "{words}"),
        }
        if pair.client.connection().session(session).is_some() {
            act(&mut pair, session, Does::Close(0), Does::Nothing);
            pair.run_for(Duration::from_secs(4));
        }
    }
    // After all of that the connection still carries sessions.
    pair.session("/");
}
