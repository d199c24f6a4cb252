//! One turn of the driver.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::Driver;
use super::phase::Phase;

/// What the driver does after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another turn at once: there is more to do.
    Turn,
    /// Another turn after the tasks that were woken, so that what they write leaves together.
    Yield,
    /// Nothing until the socket, the timer or a handle wakes us.
    Sleep,
    /// Nothing any more.
    Stop,
}

/// What a turn finds out under the lock.
struct Outcome {
    now: Instant,
    phase: Phase,
    /// Whether that is new; the next step may be due as well, but only after this one's output is sent.
    stepped: bool,
    /// Whether it sent nothing, for the sake of tasks.
    waits: bool,
    /// When the core wants another turn.
    core: Option<Instant>,
}

impl Driver {
    /// Receive, lock, feed, poll, unlock, send, wake.
    pub(super) fn turn(&mut self, context: &mut Context<'_>) -> Next {
        let Self { patience, shared, received, .. } = self;
        if received.is_empty() && patience.goes_on(|| shared.act(|state| state.driver_is_asked())) {
            return Next::Yield;
        }
        match self.try_turn(context) {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "the endpoint's socket failed");
                self.shared.act(|state| state.failure = Some(Arc::new(error)));
                Next::Stop
            }
        }
    }

    fn try_turn(&mut self, context: &mut Context<'_>) -> io::Result<Next> {
        let more = self.receive(context)?;
        let outcome = self.act(context);
        if outcome.stepped {
            // Servers are few; a client has an endpoint for each connection.
            if self.acceptor.is_some() {
                tracing::info!("shutdown: {}", outcome.phase.name());
            } else {
                tracing::debug!("shutdown: {}", outcome.phase.name());
            }
        }
        self.outgoing.send(context)?;
        let woken = self.wake();
        if outcome.phase == Phase::Done {
            return Ok(Next::Stop);
        }
        if woken || outcome.waits {
            return Ok(Next::Yield);
        }
        if more || outcome.stepped || !self.received.is_empty() {
            return Ok(Next::Turn);
        }
        Ok(self.sleep(context, &outcome))
    }

    /// Receives one batch, unless the last one is not through yet; whether there may be more.
    fn receive(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        if !self.received.is_empty() {
            return Ok(true);
        }
        let Self { received, post, socket, .. } = self;
        let polled = match post {
            None => socket.poll_recv(context, &mut |datagram| received.push_back(datagram)),
            Some(post) => {
                post.collect(context.waker(), received);
                socket.poll_recv(context, &mut |datagram| received.extend(post.hand_on(datagram)))
            }
        };
        match polled {
            Poll::Ready(result) => result.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// Everything that needs the lock.
    fn act(&mut self, context: &Context<'_>) -> Outcome {
        let Self { shared, received, outgoing, work, patience, .. } = self;
        let now = shared.runtime().now();
        shared.act(|state| {
            state.now = now;
            let asked = state.driver_runs(context);
            let many = state.endpoint.connections_to_poll() + MAX_CONNECTIONS;
            for _ in 0..MAX_DATAGRAMS {
                let Some(datagram) = received.pop_front() else { break };
                state.endpoint.handle_receive(now, datagram);
                if state.endpoint.connections_to_poll() >= many {
                    break;
                }
            }
            if state.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now) {
                state.endpoint.handle_timeout(now);
            }
            state.take_events(work);
            let stepped = state.advance_phase();
            let waits = patience.waits(work.is_some(), asked || stepped);
            if !waits {
                outgoing.fill(&mut state.endpoint, now);
                // Sending makes events, too, and so may the steps towards the end.
                state.take_events(work);
            }
            if work.is_some() || waits {
                state.driver_returns();
            }
            Outcome { now, phase: state.phase, stepped, waits, core: state.endpoint.poll_timeout() }
        })
    }

    /// Wakes tasks and answers requests; whether there was anything.
    fn wake(&mut self) -> bool {
        if !self.work.is_some() {
            return false;
        }
        for waker in self.work.wakes.drain(..) {
            waker.wake();
        }
        if self.work.asks() {
            self.answer();
        }
        true
    }

    /// Answers requests.
    fn answer(&mut self) {
        for requested in self.work.requests.drain(..) {
            // Without an acceptor the endpoint is a client's, and the core lets no request through.
            if let Some(acceptor) = &self.acceptor {
                acceptor.requested(&self.shared, requested);
            }
        }
        for requested in self.work.http_requests.drain(..) {
            if let Some(acceptor) = &self.acceptor {
                acceptor.http_requested(&self.shared, requested);
            }
        }
    }

    /// Sets the timer, and compares the clock: a timer may be early, or set to a deadline that has moved.
    fn sleep(&mut self, context: &mut Context<'_>, outcome: &Outcome) -> Next {
        // A blocked socket wakes us itself; until then the core is due all the time for what it wants to send.
        let core = outcome.core.filter(|_| self.outgoing.is_empty());
        let Some(deadline) = [core, outcome.phase.deadline()].into_iter().flatten().min() else { return Next::Sleep };
        if deadline <= outcome.now {
            return Next::Turn;
        }
        // A timer set too early is left alone. It costs one turn when it fires, and setting it at each packet costs more.
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.timer.as_mut().reset(deadline);
            self.armed = Some(deadline);
        }
        if self.timer.as_mut().poll(context).is_pending() {
            return Next::Sleep;
        }
        self.armed = None;
        Next::Turn
    }
}

/// Datagrams fed to the core in one turn: what the lock is held for.
const MAX_DATAGRAMS: usize = 256;

/// Connections that a turn feeds, beside those that have something to send already, before it asks what there is to send: as
/// many as it asks, and as stay in the processor's caches until then.
const MAX_CONNECTIONS: usize = 32;
