//! Several endpoints behind one address: connection ids that say whose a packet is.

use std::fmt;

/// One of several endpoints that share a UDP address, each with a socket of its own (SO_REUSEPORT).
///
/// The system spreads clients over the sockets by their addresses. When a client's address changes, by a NAT that forgot
/// it or by a change of networks, its packets come out of another socket; its connection ids say where they belong
/// (RFC 9000, section 5.1, leaves their content to whoever issues them). Give each endpoint its `Worker` in
/// [`Config::worker`](crate::Config::worker), and hand on what [`owner`](Self::owner) says is another's.
///
/// The number is masked with a function of the key, so that ids do not show it at a glance. That is no encryption: who has
/// many ids and tries hard can tell the workers apart, which links a client's ids no better than its worker does.
///
/// # Examples
///
/// ```
/// use transom_core::{Config, Worker};
///
/// let key = [7; 16];
/// let mut config = Config::default();
/// config.worker = Some(Worker::new(2, key));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    index: u8,
    key: [u64; 2],
}

impl Worker {
    /// Worker number `index`; all workers behind an address have the same `key`, chosen at random.
    pub fn new(index: u8, key: [u8; 16]) -> Self {
        // Digits of pi, so that a key of zeros is as good as any; and an odd factor loses nothing.
        let [low, high] = halves(u128::from_le_bytes(key) ^ 0x243f_6a88_85a3_08d3_1319_8a2e_0370_7344);
        Self { index, key: [low, high | 1] }
    }

    /// Its number.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// The number of the worker that a UDP datagram is for; `None` when no worker's connection id is in it, as in a
    /// client's first packets: those are for whoever gets them.
    pub fn owner(&self, datagram: &[u8]) -> Option<u8> {
        let first = *datagram.first()?;
        let id = if first & LONG_HEADER == 0 {
            datagram.get(1..=ID_LENGTH)?
        } else {
            // RFC 8999, section 5.1: version, length of the destination connection id, the id.
            if usize::from(*datagram.get(5)?) != ID_LENGTH {
                return None;
            }
            datagram.get(6..6 + ID_LENGTH)?
        };
        self.read(id)
    }

    /// The `count`th connection id that this worker issues.
    pub fn id(&self, count: u64) -> [u8; 8] {
        let nonce = self.nonce(count as u32);
        let sealed = self.seal(nonce) ^ u32::from(self.index);
        (u64::from(sealed) << 32 | u64::from(nonce)).to_le_bytes()
    }

    /// The worker of a connection id, if it is one of ours.
    pub(crate) fn read(&self, id: &[u8]) -> Option<u8> {
        let id = u64::from_le_bytes(id.try_into().ok()?);
        let sealed = (id >> 32) as u32 ^ self.seal(id as u32);
        u8::try_from(sealed).ok()
    }

    /// Another number for each count: whatever the key, no id comes again before 2^32 others have.
    fn nonce(&self, count: u32) -> u32 {
        let [low, high] = [self.key[0] as u32, (self.key[0] >> 32) as u32];
        let mut value = count ^ low;
        // Each step can be undone: shifts onto itself, and odd factors.
        value = (value ^ value >> 16).wrapping_mul(0x9e37_79b1);
        value = (value ^ value >> 15).wrapping_mul(0x85eb_ca77);
        value ^ value >> 13 ^ high
    }

    fn seal(&self, nonce: u32) -> u32 {
        self.mix(u64::from(nonce)) as u32
    }

    /// A fast function of the key that nobody can guess at a glance.
    fn mix(&self, input: u64) -> u64 {
        let fold = |value: u64| {
            let [low, high] = halves(u128::from(value ^ self.key[0]) * u128::from(self.key[1]));
            low ^ high
        };
        fold(fold(input).rotate_left(32))
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        f.debug_struct("Worker").field("index", &self.index).finish_non_exhaustive()
    }
}

fn halves(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

/// Bytes of a connection id.
pub(crate) const ID_LENGTH: usize = 8;

/// The bit that tells a long header (RFC 8999, section 5.1).
const LONG_HEADER: u8 = 0x80;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 16] = *b"sixteen bytes ..";

    fn short(id: &[u8]) -> Vec<u8> {
        [&[0x40], id, &[0; 30]].concat()
    }

    fn long(id: &[u8]) -> Vec<u8> {
        [&[0xc0, 0, 0, 0, 1, u8::try_from(id.len()).unwrap()], id, &[0; 30]].concat()
    }

    #[test]
    fn every_worker_reads_whose_an_id_is() {
        for index in [0, 1, 7, 255] {
            let owner = Worker::new(index, KEY);
            for count in 0..100 {
                let id = owner.id(count);
                let reader = Worker::new(3, KEY);
                assert_eq!(reader.owner(&short(&id)), Some(index));
                assert_eq!(reader.owner(&long(&id)), Some(index));
                assert_eq!(Worker::new(3, *b"another key ....").owner(&short(&id)), None);
            }
        }
    }

    #[test]
    fn ids_do_not_repeat_and_do_not_show_the_number() {
        for key in [KEY, [0; 16], [255; 16]] {
            let ids = (0..4_u8).flat_map(|index| (0..5_000).map(move |count| Worker::new(index, key).id(count)));
            let ids: BTreeSet<_> = ids.collect();
            assert_eq!(ids.len(), 20_000, "{key:?}");
        }
        let places: BTreeSet<u8> = (0..1_000).map(|count| Worker::new(1, KEY).id(count)[4]).collect();
        assert!(places.len() > 200, "{}", places.len());
    }

    #[test]
    fn ids_of_other_lengths_are_nobody_s() {
        let id = Worker::new(1, KEY).id(0);
        assert_eq!(Worker::new(0, KEY).owner(&long(&id[..7])), None);
        assert_eq!(Worker::new(0, KEY).owner(&long(&[&id[..], &[0]].concat())), None);
    }

    /// By chance one in 2^24 is not: of a million ids, the same in every run, hardly any.
    #[test]
    fn a_client_s_own_id_is_nobody_s() {
        let worker = Worker::new(0, KEY);
        let ids = (0..1_u64 << 20).map(|count| count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let taken = ids.filter(|id| worker.owner(&long(id)).is_some()).count();
        assert!(taken < 4, "{taken}");
    }

    proptest! {
        #[test]
        fn whatever_arrives_is_read_without_harm(datagram in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Worker::new(0, KEY).owner(&datagram);
        }
    }
}
