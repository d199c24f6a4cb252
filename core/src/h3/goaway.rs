//! GOAWAY: which requests will not be looked at any more, on either side (RFC 9114, section 5.2).

use bytes::{Bytes, BytesMut};

use super::{Action, Http3};
use crate::wire::{frame, varint};
use crate::{Role, StreamId};

/// What both sides said about the end of the connection.
#[derive(Debug, Default)]
pub(super) struct GoAway {
    /// Requests on this stream and above are turned away; the id in our last GOAWAY.
    ours: Option<StreamId>,
    /// The peer sent one.
    received: bool,
}

impl Http3 {
    /// Turns away requests on `first` and above from now on (server only). Returns the frame that says so, for the
    /// control stream; `None` when as much was said before, since the id never grows.
    pub(crate) fn go_away(&mut self, first: StreamId) -> Option<Bytes> {
        if self.goaway.ours.is_some_and(|said| said <= first) {
            return None;
        }
        self.goaway.ours = Some(first);
        let mut id = BytesMut::new();
        varint::encode(first.0, &mut id);
        let mut out = BytesMut::new();
        frame::encode(frame::kind::GOAWAY, &id, &mut out);
        Some(out.freeze())
    }

    /// Whether the peer will not look at further requests (client only; a client's GOAWAY is about pushes).
    pub(crate) fn peer_goes_away(&self) -> bool {
        self.role == Role::Client && self.goaway.received
    }

    /// Whether a request on this stream came too late.
    pub(super) fn turns_away(&self, stream: StreamId) -> bool {
        self.goaway.ours.is_some_and(|first| stream >= first)
    }

    /// The peer sent GOAWAY; its id is checked and has not grown.
    pub(super) fn goaway_received(&mut self, id: u64) {
        // Two are a graceful end; a flood is none.
        self.glitches = self.glitches.saturating_add(u32::from(self.goaway.received));
        self.goaway.received = true;
        self.actions.push_back(Action::GoAway { id });
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::{Config, ErrorCode};

    fn http3() -> Http3 {
        Http3::for_tests(Role::Server, Config::default())
    }

    #[test]
    fn later_requests_are_turned_away_and_earlier_ones_read() {
        let mut h3 = http3();
        let (early, late) = (StreamId(0), StreamId(4));
        h3.opened(early);
        h3.go_away(late);
        h3.opened(late);
        for stream in [late, early] {
            h3.received(stream, Bytes::from_static(&[1]));
        }
        let code = ErrorCode::H3_REQUEST_REJECTED;
        assert_eq!(h3.poll_action(), Some(Action::Abort { stream: late, code }));
        assert_eq!(h3.poll_action(), Some(Action::Forget { stream: late }));
        assert_eq!(h3.poll_action(), None);
        assert!(h3.wants(early) > 0);
    }

    #[test]
    fn the_id_never_grows() {
        let mut h3 = http3();
        assert!(!h3.turns_away(StreamId(0)));
        assert_eq!(h3.go_away(StreamId(8)).as_deref(), Some(&[7, 1, 8][..]));
        assert_eq!(h3.go_away(StreamId(8)), None);
        assert_eq!(h3.go_away(StreamId(12)), None);
        assert_eq!(h3.go_away(StreamId(4)).as_deref(), Some(&[7, 1, 4][..]));
        assert!(h3.turns_away(StreamId(4)) && !h3.turns_away(StreamId(0)));
    }
}
