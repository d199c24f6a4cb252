//! A congestion controller that lets go when the connection closes.
//!
//! quinn-proto holds a CONNECTION_CLOSE back while other data waits for the congestion window or the pacer, and processes
//! no acknowledgements any more once the connection is closed: with a download under way the close, and its code, would
//! never leave.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};

/// Makes [`Closable`] controllers around CUBIC (RFC 9438).
#[derive(Debug, Default)]
pub(crate) struct ClosableCubic;

/// A controller with a switch.
struct Closable {
    inner: Box<dyn Controller>,
    closing: Arc<AtomicBool>,
}

/// Turns congestion control off, so that the close of a connection can leave.
pub(super) fn let_go(controller: &dyn Controller) {
    if let Ok(closable) = controller.clone_box().into_any().downcast::<Closable>() {
        closable.closing.store(true, Ordering::Relaxed);
    }
}

impl ControllerFactory for ClosableCubic {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::new(CubicConfig::default()).build(now, current_mtu);
        Box::new(Closable { inner, closing: Arc::default() })
    }
}

impl Controller for Closable {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.closing.load(Ordering::Relaxed) { UNLIMITED } else { self.inner.window() }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), closing: Arc::clone(&self.closing) })
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
