//! UDP datagrams on their way out: filled under the lock, sent without it.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use transom_core::rt::UdpSender;
use transom_core::{Config, Endpoint, Transmit};

/// Batches to send, and the buffers they live in.
#[derive(Debug)]
pub(crate) struct Outgoing {
    sender: Box<dyn UdpSender>,
    /// Batches not sent yet, the blocked one first.
    queue: VecDeque<(Transmit, Vec<u8>)>,
    /// Empty buffers to use again.
    spare: Vec<Vec<u8>>,
    /// Segments of a batch that surely fit one UDP message.
    segments_that_fit: usize,
}

impl Outgoing {
    pub(crate) fn new(sender: Box<dyn UdpSender>, config: &Config) -> Self {
        let largest = usize::from(config.max_mtu.max(config.initial_mtu)).max(1);
        let segments_that_fit = (MAX_MESSAGE_SIZE / largest).max(1);
        Self { sender, queue: VecDeque::new(), spare: Vec::new(), segments_that_fit }
    }

    /// Whether everything polled so far has been sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Polls the endpoint's transmits up to the bounds of one turn.
    ///
    /// While a batch is blocked nothing is added: what is polled later is fresher.
    pub(crate) fn fill(&mut self, endpoint: &mut Endpoint, now: Instant) {
        if !self.queue.is_empty() {
            return;
        }
        let max_segments = self.sender.max_segments().clamp(1, self.segments_that_fit);
        let mut bytes = 0;
        while self.queue.len() < MAX_BATCHES && bytes < MAX_BYTES {
            let mut buffer = self.spare.pop().unwrap_or_default();
            let Some(transmit) = endpoint.poll_transmit(now, max_segments, &mut buffer) else {
                self.recycle(buffer);
                break;
            };
            bytes += buffer.len();
            self.queue.push_back((transmit, buffer));
        }
    }

    /// Sends what is there; stops when the socket has no room, which wakes the task when there is.
    pub(crate) fn send(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while let Some((transmit, buffer)) = self.queue.front() {
            let size = transmit.size.min(buffer.len());
            match self.sender.poll_send(context, transmit, &buffer[..size]) {
                Poll::Ready(result) => result?,
                Poll::Pending => break,
            }
            if let Some((_, buffer)) = self.queue.pop_front() {
                self.recycle(buffer);
            }
        }
        Ok(())
    }

    fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < MAX_BATCHES {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

/// Payload of one UDP message over IPv4 and IPv6 alike, with room for headers.
const MAX_MESSAGE_SIZE: usize = 65_000;

/// Batches polled in one turn.
const MAX_BATCHES: usize = 32;

/// Bytes polled in one turn: what the lock is held for, since polling encrypts.
const MAX_BYTES: usize = 256 * 1024;
