use std::fmt;

use super::Reaction;
use crate::raw::{Close, Failure, code};

/// How good a reaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The reaction of the catalogue.
    Exact,
    /// Another reaction that does no harm: the input was refused, or the session ended, by other means.
    Acceptable,
    /// Neither.
    Wrong,
    /// The server ended, panicked or hung, or well-behaved sessions on other connections suffered.
    Harmed,
}

impl Verdict {
    /// Judges what was seen by what the catalogue wants.
    pub(super) fn of(seen: &Result<Reaction, Failure>, expected: &[Reaction]) -> Self {
        let seen = match seen {
            Ok(seen) => *seen,
            Err(Failure::Closed(Close::Application { code, .. })) => Reaction::Closes(*code),
            Err(Failure::Closed(Close::Transport { code, .. })) => Reaction::ClosesTransport(*code),
            Err(_) => return Self::Wrong,
        };
        if expected.iter().any(|expected| seen.meets(*expected)) {
            Self::Exact
        } else if expected.iter().any(|expected| stands_in(seen, *expected)) {
            Self::Acceptable
        } else {
            Self::Wrong
        }
    }

    /// Whether the case is passed.
    pub fn is_passed(self) -> bool {
        matches!(self, Self::Exact | Self::Acceptable)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Acceptable => "acceptable",
            Self::Wrong => "WRONG",
            Self::Harmed => "HARMED",
        })
    }
}

/// Whether one reaction does for another. RFC 9114, section 8, lets a stream error be a connection error and a general
/// code stand for a specific one. A server with one session to a connection may end both at once.
fn stands_in(seen: Reaction, expected: Reaction) -> bool {
    use Reaction::{
        Aborts, AbortsForGood, AbortsSomehow, Answers, AnswersForGood, Closes, ClosesSomehow, ClosesTransport,
        Finishes, FinishesForGood, GoesOn,
    };
    let closes_for_cause = match seen {
        Closes(code) => code != code::H3_NO_ERROR,
        ClosesTransport(code) => code != 0,
        _ => false,
    };
    let refuses = closes_for_cause || matches!(seen, Aborts(_) | Answers(400..) | AbortsForGood(_) | AnswersForGood(_));
    match expected {
        Closes(_) | ClosesSomehow => closes_for_cause,
        Aborts(_) | AbortsSomehow => refuses,
        Answers(status) if status >= 400 => refuses,
        Finishes => matches!(seen, Aborts(_) | Closes(_) | AbortsForGood(_) | FinishesForGood),
        GoesOn | Answers(_) | ClosesTransport(_) | AbortsForGood(_) | AnswersForGood(_) | FinishesForGood => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_other_means_will_do_and_silence_will_not() {
        let malformed = &[Reaction::Aborts(code::H3_MESSAGE_ERROR)];
        let judge = |seen| Verdict::of(&Ok(seen), malformed);
        assert_eq!(judge(Reaction::Aborts(code::H3_MESSAGE_ERROR)), Verdict::Exact);
        assert_eq!(judge(Reaction::Closes(code::H3_MESSAGE_ERROR)), Verdict::Acceptable);
        assert_eq!(judge(Reaction::Answers(400)), Verdict::Acceptable);
        for wrong in [Reaction::Answers(200), Reaction::GoesOn, Reaction::Closes(code::H3_NO_ERROR)] {
            assert_eq!(judge(wrong), Verdict::Wrong, "{wrong}");
        }
        let waited = Err(Failure::Waited("anything".to_owned()));
        assert_eq!(Verdict::of(&waited, malformed), Verdict::Wrong);
        assert_eq!(
            Verdict::of(&Ok(Reaction::Closes(code::H3_GENERAL_PROTOCOL_ERROR)), &[Reaction::GoesOn]),
            Verdict::Wrong
        );
    }
}
