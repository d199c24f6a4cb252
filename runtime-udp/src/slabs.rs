//! Memory that datagrams share, within a bound.

use bytes::BytesMut;

/// A few blocks of memory, filled again and again with datagrams that arrive joined.
///
/// An allocation for each datagram costs more than to copy it. But whoever keeps one datagram of a block keeps the whole
/// block, and a peer can make us keep some for long. So there are never more than [`SLABS`] blocks; while something in each
/// of them is in use, each datagram has to have memory of its own.
#[derive(Debug, Default)]
pub(crate) struct Slabs {
    /// What is left of each block, behind what was cut off it.
    slabs: Vec<BytesMut>,
    /// The one that was filled last.
    current: usize,
}

impl Slabs {
    /// A copy of `bytes`, in memory that is shared with earlier ones; `None` if all of it is in use.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Option<BytesMut> {
        let slab = self.room(bytes.len())?;
        slab.extend_from_slice(bytes);
        Some(slab.split())
    }

    /// A block with room for `size` bytes: the last one, or the next if nobody uses any of it.
    fn room(&mut self, size: usize) -> Option<&mut BytesMut> {
        if !self.has_room(size) {
            self.current = ((self.current + 1) % SLABS).min(self.slabs.len());
            if self.current == self.slabs.len() {
                self.slabs.push(BytesMut::with_capacity(SLAB_SIZE));
            }
            if !self.has_room(size) {
                return None;
            }
        }
        self.slabs.get_mut(self.current)
    }

    /// Whether there is room in the current block, which is empty again once nobody uses any of it.
    fn has_room(&mut self, size: usize) -> bool {
        self.slabs.get_mut(self.current).is_some_and(|slab| slab.try_reclaim(size))
    }
}

/// Blocks of one socket: what the largest batch of joined messages fills. With half as many, the rest of such a batch has memory
/// for each datagram, which makes a large upload a twentieth dearer.
const SLABS: usize = 8;

/// Bytes of a block: the largest message that the kernel joins.
const SLAB_SIZE: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `second` lies right behind `first`, which two allocations never do.
    fn adjoins(first: &BytesMut, second: &BytesMut) -> bool {
        first.as_ptr().wrapping_add(first.len()) == second.as_ptr()
    }

    #[test]
    fn what_arrives_together_shares_memory() {
        let mut slabs = Slabs::default();
        let (first, second) = (slabs.copy(b"first").unwrap(), slabs.copy(b"second").unwrap());
        assert_eq!((&first[..], &second[..]), (&b"first"[..], &b"second"[..]));
        assert!(adjoins(&first, &second));
    }

    #[test]
    fn what_is_kept_keeps_no_more_than_the_blocks_there_are() {
        let mut slabs = Slabs::default();
        let message = vec![7; SLAB_SIZE];
        // A byte of each message is kept, and so the whole block.
        let kept: Vec<BytesMut> = (0..100).filter_map(|_| Some(slabs.copy(&message)?.split_to(1))).collect();
        assert_eq!((kept.len(), slabs.slabs.len()), (SLABS, SLABS));
        assert!(kept.iter().all(|byte| byte[..] == [7]), "nothing is written over");
        assert!(slabs.copy(b"more").is_none());
        drop(kept);
        let (first, second) = (slabs.copy(b"first").unwrap(), slabs.copy(b"second").unwrap());
        assert!(adjoins(&first, &second), "and they are filled again when it is let go");
        assert!(slabs.slabs.iter().all(|slab| slab.capacity() <= SLAB_SIZE));
    }

    #[test]
    fn what_is_larger_than_a_block_finds_no_room() {
        let mut slabs = Slabs::default();
        let message = vec![7; SLAB_SIZE + 1];
        assert!((0..10).all(|_| slabs.copy(&message).is_none()));
        assert!(slabs.slabs.iter().all(|slab| slab.capacity() <= SLAB_SIZE));
        assert_eq!(slabs.copy(b"").unwrap().len(), 0);
    }
}
