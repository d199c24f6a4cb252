use std::cell::Cell;
use std::rc::Rc;

use crate::siege::Meter;

/// Live bytes of the server: what its code has allocated and not freed. Its memory is freed by nobody else.
///
/// The process needs a counting allocator; it counts for all threads, so that nothing else may run.
#[derive(Clone)]
pub struct Live {
    allocator: fn() -> stats_alloc::Stats,
    state: Rc<Cell<State>>,
}

#[derive(Clone, Copy, Default)]
struct State {
    at_entry: isize,
    live: isize,
    peak: isize,
    calls: usize,
    at_first_packet: isize,
}

impl Live {
    /// Counts with this allocator.
    pub fn new(allocator: fn() -> stats_alloc::Stats) -> Self {
        Self { allocator, state: Rc::default() }
    }

    /// Bytes live now.
    pub fn now(&self) -> isize {
        self.state.get().live
    }

    /// Bytes live before the first packet arrived: the endpoint without a connection.
    pub fn at_first_packet(&self) -> isize {
        self.state.get().at_first_packet
    }

    /// The most since the last reset, as seen whenever the server's code returned.
    pub fn peak(&self) -> isize {
        self.state.get().peak
    }

    /// Forgets the peak.
    pub fn reset_peak(&self) {
        let state = self.state.get();
        self.state.set(State { peak: state.live, ..state });
    }

    /// Of the whole process.
    fn allocated(&self) -> isize {
        let stats = (self.allocator)();
        stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated).cast_signed()
    }
}

impl Meter for Live {
    fn enter(&mut self) {
        self.state.set(State { at_entry: self.allocated(), ..self.state.get() });
    }

    fn leave(&mut self) {
        let state = self.state.get();
        let live = state.live + self.allocated() - state.at_entry;
        // The first call makes the endpoint.
        let at_first_packet = if state.calls == 0 { live } else { state.at_first_packet };
        self.state.set(State { live, peak: state.peak.max(live), calls: state.calls + 1, at_first_packet, ..state });
    }
}
