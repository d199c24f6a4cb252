use std::alloc::System;
use std::cell::Cell;
use std::rc::Rc;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use transom_tests::siege::Meter;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Live bytes of the server: what its code has allocated and not freed. Its memory is freed by nobody else.
#[derive(Clone, Default)]
pub(crate) struct Live {
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
    /// Bytes live now.
    pub(crate) fn now(&self) -> isize {
        self.state.get().live
    }

    /// Bytes live before the first packet arrived: the endpoint without a connection.
    pub(crate) fn at_first_packet(&self) -> isize {
        self.state.get().at_first_packet
    }

    /// The most since the last reset, as seen whenever the server's code returned.
    pub(crate) fn peak(&self) -> isize {
        self.state.get().peak
    }

    /// Forgets the peak.
    pub(crate) fn reset_peak(&self) {
        let state = self.state.get();
        self.state.set(State { peak: state.live, ..state });
    }
}

impl Meter for Live {
    fn enter(&mut self) {
        self.state.set(State { at_entry: allocated(), ..self.state.get() });
    }

    fn leave(&mut self) {
        let state = self.state.get();
        let live = state.live + allocated() - state.at_entry;
        // The first call makes the endpoint.
        let at_first_packet = if state.calls == 0 { live } else { state.at_first_packet };
        self.state.set(State { live, peak: state.peak.max(live), calls: state.calls + 1, at_first_packet, ..state });
    }
}

/// Of the whole process. `bytes_reallocated` is how much reallocations have added.
fn allocated() -> isize {
    let stats = ALLOCATOR.stats();
    isize::try_from(stats.bytes_allocated).unwrap() - isize::try_from(stats.bytes_deallocated).unwrap()
}
