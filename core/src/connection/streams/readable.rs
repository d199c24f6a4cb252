//! A stream while the application reads it.

use bytes::Bytes;

use super::WebTransportStream;
use crate::connection::quic::{NoBytes, Pieces};

/// A stream of which the application reads, with what is counted over all streams: found once for all that reading changes.
#[derive(Debug)]
pub(crate) struct Readable<'a> {
    pub(crate) entry: &'a mut WebTransportStream,
    pub(super) unread_frames: &'a mut usize,
    pub(super) all_unread_frames: &'a mut usize,
    pub(super) all_ahead: &'a mut usize,
}

impl Readable<'_> {
    /// Takes of what was read ahead, and whether it was the last of the stream; `None` when there is nothing.
    pub(crate) fn take_ahead(&mut self, max: usize) -> Option<(Bytes, bool)> {
        let entry = &mut *self.entry;
        if entry.ahead.is_empty() {
            return None;
        }
        if entry.ahead.len() > max {
            return Some((entry.ahead.split_to(max), false));
        }
        *self.all_ahead -= usize::from(std::mem::take(&mut entry.charged));
        Some((std::mem::take(&mut entry.ahead), entry.at_end))
    }

    /// Counts what was read.
    pub(crate) fn read(&mut self, pieces: &Pieces) {
        let frames = match pieces.after {
            Some(NoBytes::End | NoBytes::Reset(_) | NoBytes::Closed) => usize::MAX,
            _ => most_frames(pieces.count, pieces.bytes),
        };
        forget_frames(self.unread_frames, self.all_unread_frames, frames);
    }
}

/// How many frames may have been in so many pieces.
///
/// QUIC joins frames that wait for long, so that a piece may have been as many frames as it has bytes; and one more, which
/// came twice.
pub(super) fn most_frames(pieces: usize, bytes: usize) -> usize {
    bytes.saturating_add(pieces)
}

/// Forgets up to so many frames of one stream, and of all.
pub(super) fn forget_frames(of_one: &mut usize, of_all: &mut usize, most: usize) {
    let gone = most.min(*of_one);
    *of_one -= gone;
    *of_all -= gone;
}
