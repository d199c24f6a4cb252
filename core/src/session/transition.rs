//! Every change of a session's state happens here, as `step(state, input) -> (state, effects)`, for both roles.
//!
//! ```text
//!               accept / 2xx               close, capsule, FIN, reset
//!   Requested ───────────────► Open ─────────────────────────────────► Closing ─► Over
//!       │  refuse, reset, time                                            ▲
//!       └─────────────────────────────────────────────────────────────────┘ (or straight to Over)
//! ```
//!
//! For the application a session ends on the way into `Closing`, once; `Closing` only winds up the CONNECT stream.

use crate::{ConnectionError, ErrorCode, SessionEnd};

/// How far a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Asked for, not answered.
    Requested,
    /// Usable. `stopped`: the peer does not want our side of the CONNECT stream any more, its own end must follow.
    Open { stopped: Option<ErrorCode> },
    /// Over for the application; the CONNECT stream is being closed on both sides.
    Closing { by: Closer },
    /// Nothing is left.
    Over,
}

/// Who ended the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closer {
    /// We did; the peer may still be sending.
    Us,
    /// The peer did; another byte from it is an error.
    Peer,
}

/// What happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    Accept,
    Refuse,
    Close {
        code: u32,
        reason: String,
    },
    Finish,
    Drain,
    PeerClose {
        code: u32,
        reason: String,
    },
    PeerDrain,
    PeerFinish,
    PeerReset {
        code: ErrorCode,
    },
    PeerStop {
        code: ErrorCode,
    },
    /// The server says that it did not and will not look at our request.
    Unprocessed,
    /// The peer broke a rule that ends the session.
    Malformed {
        code: ErrorCode,
    },
    /// Bytes came although the peer had closed the session.
    Surplus,
    AnswerTimeout,
    /// What we wanted to send could not leave in time.
    FlushTimeout,
    /// The peer did not end its side in time.
    LingerTimeout,
    ConnectionLost {
        error: ConnectionError,
    },
}

/// What has to be done about it, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Reset and stop every stream of the session with WT_SESSION_GONE, drop what is queued.
    EndStreams,
    /// Tell the application, once.
    Ended(SessionEnd),
    /// Tell the application that the peer wants to wind down.
    Draining,
    SendClose {
        code: u32,
        reason: String,
    },
    SendDrain,
    /// FIN on the CONNECT stream.
    Finish,
    /// Reset and stop the CONNECT stream.
    Abort(ErrorCode),
    /// Answer 503: nobody decided in time.
    Unavailable,
    ArmFlush,
    ArmLinger,
    /// Count against the peer's glitch budget.
    Glitch,
}

/// The one place where session states change.
pub(crate) fn step(state: State, input: Input) -> (State, Vec<Effect>) {
    match (state, input) {
        (State::Over, _) => (State::Over, Vec::new()),
        (State::Requested, input) => requested(input),
        (State::Open { stopped }, input) => open(stopped, input),
        (State::Closing { by }, input) => closing(by, input),
    }
}

fn requested(input: Input) -> (State, Vec<Effect>) {
    let aborted = |code| Effect::Ended(SessionEnd::Aborted { code });
    match input {
        Input::Accept => (State::Open { stopped: None }, Vec::new()),
        Input::Refuse => (State::Over, vec![Effect::EndStreams]),
        Input::Close { code, reason } => {
            let end = Effect::Ended(SessionEnd::ClosedLocally { code, reason });
            (State::Over, vec![Effect::EndStreams, end, Effect::Abort(ErrorCode::H3_REQUEST_CANCELLED)])
        }
        Input::Finish => requested(Input::Close { code: 0, reason: String::new() }),
        Input::PeerReset { code } => {
            let cancel = Effect::Abort(ErrorCode::H3_REQUEST_CANCELLED);
            (State::Over, vec![Effect::EndStreams, aborted(code), cancel])
        }
        Input::Unprocessed => {
            let end = Effect::Ended(SessionEnd::NotProcessed);
            (State::Over, vec![Effect::EndStreams, end, Effect::Abort(ErrorCode::H3_REQUEST_CANCELLED)])
        }
        // Only a client gets here: the server ended the stream without a final answer.
        Input::PeerFinish => {
            let cancel = Effect::Abort(ErrorCode::H3_REQUEST_CANCELLED);
            (State::Over, vec![Effect::EndStreams, aborted(ErrorCode::H3_REQUEST_INCOMPLETE), cancel])
        }
        Input::Malformed { code } => (State::Over, violated(code)),
        Input::AnswerTimeout => {
            let end = Effect::Ended(SessionEnd::AnswerTimedOut);
            (State::Over, vec![Effect::EndStreams, end, Effect::Unavailable])
        }
        Input::ConnectionLost { error } => (State::Over, lost(error)),
        // A server that refuses stops what the request has left to say: its answer is on the way. A client that gives
        // up resets as well.
        Input::PeerStop { .. }
        | Input::PeerClose { .. }
        | Input::PeerDrain
        | Input::Drain
        | Input::Surplus
        | Input::FlushTimeout
        | Input::LingerTimeout => (State::Requested, Vec::new()),
    }
}

fn open(stopped: Option<ErrorCode>, input: Input) -> (State, Vec<Effect>) {
    match input {
        Input::Close { code, reason } => {
            let end = Effect::Ended(SessionEnd::ClosedLocally { code, reason: reason.clone() });
            let close = Effect::SendClose { code, reason };
            // draft-16, section 6: capsule, FIN at once, then wait. Resetting or stopping now would make browsers
            // report an abrupt end.
            let effects = vec![Effect::EndStreams, end, close, Effect::Finish, Effect::ArmFlush, Effect::ArmLinger];
            (State::Closing { by: Closer::Us }, effects)
        }
        Input::Finish => {
            let end = Effect::Ended(SessionEnd::ClosedLocally { code: 0, reason: String::new() });
            let effects = vec![Effect::EndStreams, end, Effect::Finish, Effect::ArmFlush, Effect::ArmLinger];
            (State::Closing { by: Closer::Us }, effects)
        }
        Input::Drain => (State::Open { stopped }, vec![Effect::SendDrain]),
        Input::PeerDrain => (State::Open { stopped }, vec![Effect::Draining]),
        Input::PeerClose { code, reason } => {
            let end = Effect::Ended(SessionEnd::ClosedByPeer { code, reason });
            let effects = vec![Effect::EndStreams, end, Effect::Finish, Effect::ArmFlush, Effect::ArmLinger];
            (State::Closing { by: Closer::Peer }, effects)
        }
        Input::PeerFinish => {
            let end = Effect::Ended(SessionEnd::ClosedByPeer { code: 0, reason: String::new() });
            (State::Over, vec![Effect::EndStreams, end, Effect::Finish])
        }
        Input::PeerReset { code } => {
            let end = Effect::Ended(SessionEnd::Aborted { code: stopped.unwrap_or(code) });
            let cancel = Effect::Abort(ErrorCode::H3_REQUEST_CANCELLED);
            // Opening and resetting sessions costs the peer little and us a handler each.
            (State::Over, vec![Effect::EndStreams, end, cancel, Effect::Glitch])
        }
        // The peer's own end may be a packet behind: wait for it before calling this abrupt.
        Input::PeerStop { code } => (State::Open { stopped: Some(code) }, vec![Effect::ArmLinger]),
        Input::LingerTimeout => match stopped {
            Some(code) => open(None, Input::PeerReset { code }),
            None => (State::Open { stopped }, Vec::new()),
        },
        Input::Malformed { code } => (State::Over, violated(code)),
        Input::ConnectionLost { error } => (State::Over, lost(error)),
        Input::Accept
        | Input::Refuse
        | Input::Unprocessed
        | Input::Surplus
        | Input::AnswerTimeout
        | Input::FlushTimeout => (State::Open { stopped }, Vec::new()),
    }
}

fn closing(by: Closer, input: Input) -> (State, Vec<Effect>) {
    match input {
        Input::PeerFinish | Input::PeerReset { .. } | Input::ConnectionLost { .. } => (State::Over, Vec::new()),
        // draft-16, section 6: nothing may follow the close capsule.
        Input::Surplus if by == Closer::Peer => {
            (State::Over, vec![Effect::Glitch, Effect::Abort(ErrorCode::H3_MESSAGE_ERROR)])
        }
        Input::Malformed { code } => (State::Over, vec![Effect::Glitch, Effect::Abort(code)]),
        // Our close could not leave, or the peer never ends: nobody waits for ever.
        Input::FlushTimeout => (State::Over, vec![Effect::Abort(ErrorCode::H3_REQUEST_CANCELLED)]),
        Input::LingerTimeout => (State::Over, vec![Effect::Abort(ErrorCode::H3_NO_ERROR)]),
        _ => (State::Closing { by }, Vec::new()),
    }
}

fn violated(code: ErrorCode) -> Vec<Effect> {
    // The budget may end the connection: the session has to be over for the application by then.
    vec![Effect::EndStreams, Effect::Ended(SessionEnd::PeerMisbehaved { code }), Effect::Abort(code), Effect::Glitch]
}

fn lost(error: ConnectionError) -> Vec<Effect> {
    vec![Effect::EndStreams, Effect::Ended(SessionEnd::ConnectionLost(error))]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inputs() -> Vec<Input> {
        let code = ErrorCode::H3_REQUEST_CANCELLED;
        vec![
            Input::Accept,
            Input::Refuse,
            Input::Close { code: 7, reason: "bye".into() },
            Input::Finish,
            Input::Drain,
            Input::PeerClose { code: 8, reason: String::new() },
            Input::PeerDrain,
            Input::PeerFinish,
            Input::PeerReset { code },
            Input::PeerStop { code },
            Input::Unprocessed,
            Input::Malformed { code: ErrorCode::H3_MESSAGE_ERROR },
            Input::Surplus,
            Input::AnswerTimeout,
            Input::FlushTimeout,
            Input::LingerTimeout,
            Input::ConnectionLost { error: ConnectionError::TimedOut },
        ]
    }

    fn is_end(effect: &Effect) -> bool {
        matches!(effect, Effect::Ended(_))
    }

    proptest! {
        /// Whatever happens in whatever order: the application hears of the end exactly once if the session was
        /// known to it and ended, streams end with it, and no effect follows the last state.
        #[test]
        fn the_end_is_told_once(script in prop::collection::vec(0..inputs().len(), 0..24)) {
            let all = inputs();
            let (mut state, mut ends, mut refused) = (State::Requested, 0, false);
            for index in script {
                let was_over = state == State::Over;
                refused |= matches!((&state, &all[index]), (State::Requested, Input::Refuse));
                let (next, effects) = step(state, all[index].clone());
                let told = effects.iter().filter(|effect| is_end(effect)).count();
                prop_assert!(!was_over || effects.is_empty());
                if told == 1 {
                    prop_assert!(effects.contains(&Effect::EndStreams), "streams end with the session");
                    let live = matches!(next, State::Open { .. } | State::Requested);
                    prop_assert!(!live, "an ended session stays ended");
                }
                ends += told;
                state = next;
            }
            prop_assert!(ends <= 1);
            if matches!(state, State::Closing { .. } | State::Over) {
                prop_assert_eq!(ends, usize::from(!refused));
            }
        }
    }

    #[test]
    fn every_closing_session_gets_over_by_time_alone() {
        for by in [Closer::Us, Closer::Peer] {
            for timeout in [Input::FlushTimeout, Input::LingerTimeout] {
                assert_eq!(step(State::Closing { by }, timeout).0, State::Over);
            }
        }
    }

    #[test]
    fn a_closing_session_is_over_when_the_peer_ends_and_aborts_when_it_misbehaves() {
        let code = ErrorCode::H3_REQUEST_CANCELLED;
        for by in [Closer::Us, Closer::Peer] {
            let lost = Input::ConnectionLost { error: ConnectionError::TimedOut };
            for end in [Input::PeerFinish, Input::PeerReset { code }, lost] {
                assert_eq!(step(State::Closing { by }, end), (State::Over, vec![]));
            }
            let (state, effects) = step(State::Closing { by }, Input::Malformed { code });
            assert_eq!((state, effects.last()), (State::Over, Some(&Effect::Abort(code))));
        }
        // Bytes after the peer's own close are its fault; those under way when we closed are not.
        let (state, effects) = step(State::Closing { by: Closer::Peer }, Input::Surplus);
        assert_eq!((state, effects.last()), (State::Over, Some(&Effect::Abort(ErrorCode::H3_MESSAGE_ERROR))));
        let us = State::Closing { by: Closer::Us };
        assert_eq!(step(us.clone(), Input::Surplus), (us, vec![]));
    }

    #[test]
    fn our_close_sends_capsule_then_fin_and_neither_reset_nor_stop() {
        let (state, effects) = step(State::Open { stopped: None }, Input::Close { code: 1, reason: "r".into() });
        assert_eq!(state, State::Closing { by: Closer::Us });
        let position = |wanted: &Effect| effects.iter().position(|effect| effect == wanted);
        let close = position(&Effect::SendClose { code: 1, reason: "r".into() });
        assert!(close.is_some() && close < position(&Effect::Finish));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Abort(_))));
    }
}
