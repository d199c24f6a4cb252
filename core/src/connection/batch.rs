//! How many datagrams QUIC is given at a time.

/// The size of the next batch, from what became of the last one.
///
/// Where the network takes nearly nothing, nearly nothing is given: it would grow old where nobody can take it back.
/// Where it takes everything, the batches grow to what one transmit can carry.
#[derive(Debug)]
pub(super) struct Batch {
    /// Packets' worth of it.
    segments: usize,
    /// Bytes that QUIC had after the last one.
    filled: usize,
    /// There would have been more.
    limited: bool,
}

/// Packets that QUIC's pacer lets go at once at least.
const FIRST: usize = 10;

/// No system sends more packets in one message.
const MOST: usize = 64;

impl Default for Batch {
    fn default() -> Self {
        Self { segments: FIRST, filled: 0, limited: false }
    }
}

impl Batch {
    /// How many packets' worth QUIC may have now, where it has `left` of the last batch.
    pub(super) fn next(&mut self, left: usize, max_segments: usize) -> usize {
        // Datagrams that leave much of a packet empty take up to twice as many packets, so a rest is no bad sign.
        if self.filled > 0 && left * 4 > self.filled * 3 {
            self.segments /= 2;
        } else if !self.limited {
            // Too little to learn from: back to the beginning, in a few steps, since it mostly goes on as it was.
            self.segments = (self.segments / 2).max(FIRST);
        } else if left * 4 < self.filled {
            self.segments *= 2;
        }
        self.segments = self.segments.clamp(1, max_segments.clamp(1, MOST));
        self.segments
    }

    /// Notes how many bytes QUIC has now, and whether there would have been more to give.
    pub(super) fn filled(&mut self, bytes: usize, limited: bool) {
        self.filled = bytes;
        self.limited = limited;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of batches where QUIC sends `taken` packets of 1000 bytes between two looks.
    fn sizes(batch: &mut Batch, taken: usize, rounds: usize) -> Vec<usize> {
        let mut left = 0;
        let round = |_| {
            let segments = batch.next(left, 32);
            let filled = left.max(segments * 1_000);
            batch.filled(filled, true);
            left = filled.saturating_sub(taken * 1_000);
            segments
        };
        (0..rounds).map(round).collect()
    }

    #[test]
    fn grows_while_everything_leaves_up_to_one_transmit() {
        assert_eq!(sizes(&mut Batch::default(), 100, 4), [10, 20, 32, 32]);
    }

    #[test]
    fn shrinks_to_one_packet_where_nothing_leaves() {
        assert_eq!(sizes(&mut Batch::default(), 0, 5), [10, 5, 2, 1, 1]);
    }

    #[test]
    fn stays_near_what_leaves() {
        let sizes = sizes(&mut Batch::default(), 3, 200);
        assert!(sizes[100..].iter().all(|size| (3..=16).contains(size)), "{sizes:?}");
    }

    #[test]
    fn goes_back_where_there_is_too_little_to_learn_from() {
        let mut batch = Batch::default();
        sizes(&mut batch, 100, 5);
        let mut next = || {
            batch.filled(500, false);
            batch.next(0, 32)
        };
        assert_eq!([next(), next(), next()], [16, FIRST, FIRST]);
        assert_eq!(batch.next(0, 4), 4, "never more than one transmit carries");
        assert_eq!(batch.next(0, 0), 1);
        let mut eager = Batch::default();
        for _ in 0..100 {
            assert!(eager.next(0, usize::MAX) <= MOST);
            eager.filled(1_000, true);
        }
    }
}
