//! A congestion controller that lets go when the connection closes, and tells what it sees.
//!
//! quinn-proto holds a CONNECTION_CLOSE back while other data waits for the congestion window or the pacer, and processes
//! no acknowledgements any more once the connection is closed: with a download under way the close, and its code, would
//! never leave.
//!
//! It also sees what quinn-proto does not publish: how much round trips vary, and whether a lack of data held us back.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory, ControllerMetrics, Cubic, CubicConfig};

/// Makes [`Closable`] controllers around CUBIC (RFC 9438).
#[derive(Debug, Default)]
pub(crate) struct ClosableCubic {
    cubic: Arc<CubicConfig>,
}

/// A controller with a switch.
struct Closable {
    inner: Cubic,
    told: Arc<Told>,
    observed: Observed,
    /// When the newest packet of this batch of acknowledgements was sent, and of all before.
    batch: Option<Instant>,
    newest: Option<Instant>,
    smoothed_rtt: Duration,
}

/// What the connection tells its controller, which quinn-proto owns.
#[derive(Debug, Default)]
pub(super) struct Told {
    closing: AtomicBool,
    idle: AtomicBool,
}

impl Told {
    /// Whether there is nothing to send, which quinn-proto has not noticed.
    pub(super) fn set_idle(&self, idle: bool) {
        // Written only when it changes: the controller's neighbours in memory are left alone.
        if self.idle.load(Ordering::Relaxed) != idle {
            self.idle.store(idle, Ordering::Relaxed);
        }
    }
}

/// What a controller has seen.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Observed {
    /// Mean deviation of the round-trip time (RFC 9002, section 5.3, without the peer's delays); `None` before the first
    /// acknowledgement.
    pub(super) rtt_variation: Option<Duration>,
    /// Whether there was more to send than the network took.
    pub(super) at_send_capacity: bool,
}

/// Turns congestion control off, so that the close of a connection can leave.
pub(super) fn let_go(controller: &dyn Controller) {
    if let Some(told) = told(controller) {
        told.closing.store(true, Ordering::Relaxed);
    }
}

/// How to tell a controller something later.
pub(super) fn told(controller: &dyn Controller) -> Option<Arc<Told>> {
    controller.clone_box().into_any().downcast::<Closable>().ok().map(|closable| closable.told)
}

/// Asks a controller what it has seen.
pub(super) fn observe(controller: &dyn Controller) -> Observed {
    let closable = controller.clone_box().into_any().downcast::<Closable>();
    closable.map_or_else(|_| Observed::default(), |closable| closable.observed)
}

impl Closable {
    /// A batch of acknowledgements is complete.
    fn sample(&mut self, now: Instant) {
        let Some(sent) = self.batch.take() else { return };
        // Only the newest packet so far says how long a round trip takes now.
        if self.newest.is_some_and(|newest| newest >= sent) {
            return;
        }
        self.newest = Some(sent);
        let rtt = now.saturating_duration_since(sent);
        let variation = match self.observed.rtt_variation {
            None => rtt / 2,
            Some(variation) => (3 * variation + self.smoothed_rtt.abs_diff(rtt)) / 4,
        };
        self.observed.rtt_variation = Some(variation);
    }
}

impl ControllerFactory for ClosableCubic {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Closable {
            inner: Cubic::new(Arc::clone(&self.cubic), now, current_mtu),
            told: Arc::default(),
            observed: Observed::default(),
            batch: None,
            newest: None,
            smoothed_rtt: Duration::ZERO,
        })
    }
}

impl Controller for Closable {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        let app_limited = app_limited || self.told.idle.load(Ordering::Relaxed);
        self.batch = self.batch.max(Some(sent));
        self.smoothed_rtt = rtt.get();
        self.observed.at_send_capacity = !app_limited;
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        let app_limited = app_limited || self.told.idle.load(Ordering::Relaxed);
        self.sample(now);
        self.inner.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.told.closing.load(Ordering::Relaxed) { UNLIMITED } else { self.inner.window() }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone(), told: Arc::clone(&self.told), ..*self })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Above 2^32 quinn-proto does not pace either.
const UNLIMITED: u64 = 1 << 40;
