//! Limits that are no settings: nobody has a reason to raise them, and together with [`Config`](crate::Config) they bound
//! what a peer can make us keep.

/// Bytes of header sections that one connection keeps before they are complete, and of requests that wait for the
/// client's SETTINGS; the stream that goes beyond is reset with H3_EXCESSIVE_LOAD.
pub(crate) const UNFINISHED_REQUESTS: usize = 128 * 1024;

/// Bytes of meaningless frames or of an unwanted body on one request stream; beyond, the connection is closed with
/// H3_EXCESSIVE_LOAD.
pub(crate) const IGNORED_ON_A_STREAM: u64 = 1024 * 1024;

/// Bytes of a body thrown away before the application has answered a plain request; beyond, nothing is read.
pub(crate) const IGNORED_BEFORE_AN_ANSWER: u64 = 64 * 1024;

/// Subprotocols in one offer; a longer list is ignored as a whole, like a malformed one.
pub(crate) const OFFERED_PROTOCOLS: usize = 64;

/// Bytes buffered for one connection attempt that has not been taken in yet; what is beyond is dropped.
pub(crate) const INCOMING_BUFFER: u64 = 64 * 1024;

/// The same for all such attempts.
pub(crate) const INCOMING_BUFFER_TOTAL: u64 = 16 * 1024 * 1024;

/// Stateless answers (Retry, Version Negotiation, refusals) that wait to be sent; more are dropped, since the peers will
/// ask again.
pub(crate) const STATELESS_ANSWERS: usize = 64;

/// What quinn keeps of datagrams between an input and the next look at them, which is at once. The number is also the
/// largest DATAGRAM frame we announce, and 65535 is what others announce.
pub(crate) const DATAGRAM_RECEIVE_BUFFER: usize = 65_535;

/// What quinn may be given of datagrams. What waits waits in the sessions; this is a batch of the largest packets, and a
/// bound for what many small ones cost.
pub(crate) const DATAGRAM_SEND_BUFFER: usize = 65_536;

/// Bytes of one connection that are read with the headers of streams, before the application asks for them, and charged until
/// it does: with 192 for each stream on top, so that it is 86 streams at most. Nothing more is read ahead then.
pub(crate) const READ_AHEAD: usize = 16 * 1024;
