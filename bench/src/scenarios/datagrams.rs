use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Failure, Meter, Outcome, Patience, Result, Target, connected, open_sessions};
use crate::client::{Client, Histogram, Session, What};
use crate::payload;

/// Datagrams that come back, so many under way.
pub(super) fn echo(target: &Target, size: usize, in_flight: usize) -> Result<Outcome> {
    let (client, session) = connected(target, "/echo")?;
    let mut load = Load {
        client,
        session,
        size,
        in_flight,
        next: 0,
        sent: VecDeque::new(),
        done: 0,
        lost: 0,
        latencies: Histogram::default(),
    };
    load.go(target.time / 4)?;
    (load.done, load.lost, load.latencies) = (0, 0, Histogram::default());
    let meter = Meter::start(target.pid)?;
    load.go(target.time)?;
    let outcome = meter.stop()?;
    load.client.close_all();
    check_loss(load.lost, load.done)?;
    Ok(Outcome { operations: load.done, lost: load.lost, latencies: load.latencies, ..outcome })
}

struct Load {
    client: Client,
    session: Session,
    size: usize,
    in_flight: usize,
    next: u64,
    /// Numbers under way, in order; those that came back while an older one did not are `None`.
    sent: VecDeque<(u64, Option<Instant>)>,
    done: u64,
    lost: u64,
    latencies: Histogram,
}

impl Load {
    fn go(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let mut patience = Patience::new();
        while Instant::now() < end {
            self.fill()?;
            self.client.turn(Instant::now() + GIVE_UP)?;
            let before = self.done;
            while let Some((_, what)) = self.client.pop() {
                match what {
                    What::Datagram(bytes) => self.take(&bytes)?,
                    What::Lost(reason) => return Err(Failure(format!("the connection was lost: {reason}"))),
                    _ => {}
                }
            }
            if self.done > before {
                patience.renew();
            } else if self.sent.iter().filter_map(|(_, at)| *at).all(|at| at.elapsed() > GIVE_UP) {
                self.lost += self.under_way() as u64;
                self.sent.clear();
            }
            patience.check("a datagram")?;
        }
        Ok(())
    }

    fn under_way(&self) -> usize {
        self.sent.iter().filter(|(_, at)| at.is_some()).count()
    }

    fn fill(&mut self) -> Result<()> {
        // What is far behind the newest is lost.
        while self
            .sent
            .front()
            .is_some_and(|(number, at)| at.is_none() || self.next - number > 4 * self.in_flight as u64)
        {
            self.lost += u64::from(self.sent.pop_front().is_some_and(|(_, at)| at.is_some()));
        }
        let now = Instant::now();
        for _ in self.under_way()..self.in_flight {
            self.client.send_datagram(self.session, &payload::message(self.next, self.size))?;
            self.sent.push_back((self.next, Some(now)));
            self.next += 1;
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let number = payload::number(bytes, self.size)
            .filter(|number| *number < self.next)
            .ok_or_else(|| Failure(format!("a wrong datagram of {} bytes", bytes.len())))?;
        let Some(first) = self.sent.front().map(|(first, _)| *first) else { return Ok(()) };
        // One that was given up comes too late to count.
        let Some(index) = number.checked_sub(first) else { return Ok(()) };
        let Some((_, at)) = self.sent.get_mut(index as usize) else { return Ok(()) };
        let Some(at) = at.take() else { return Err(Failure("a datagram came back twice".into())) };
        self.done += 1;
        self.latencies.add(at.elapsed());
        Ok(())
    }
}

/// One session sends, all get it.
pub(super) fn broadcast(target: &Target, size: usize, count: usize) -> Result<Outcome> {
    let mut client = Client::new(target.address, None)?;
    let sessions = open_sessions(&mut client, "/broadcast", count)?;
    let mut number = 0;
    for _ in 0..3 {
        one_broadcast(&mut client, &sessions, &mut number, size)?;
    }
    let meter = Meter::start(target.pid)?;
    let (end, mut delivered, mut sent) = (Instant::now() + target.time, 0, 0);
    let mut latencies = Histogram::default();
    while Instant::now() < end {
        let begun = Instant::now();
        delivered += one_broadcast(&mut client, &sessions, &mut number, size)?;
        sent += count as u64;
        latencies.add(begun.elapsed());
    }
    let outcome = meter.stop()?;
    client.close_all();
    check_loss(sent - delivered, delivered)?;
    Ok(Outcome { operations: delivered, lost: sent - delivered, latencies, ..outcome })
}

/// Sends one and counts who got it.
fn one_broadcast(client: &mut Client, sessions: &[Session], number: &mut u64, size: usize) -> Result<u64> {
    *number += 1;
    client.send_datagram(sessions[0], &payload::message(*number, size))?;
    let mut got = vec![false; sessions.iter().map(|session| session.connection).max().unwrap_or(0) + 1];
    let (mut delivered, mut give_up) = (0, Instant::now() + PATIENCE_OF_ALL);
    while delivered < sessions.len() as u64 && Instant::now() < give_up {
        client.turn(give_up)?;
        while let Some((connection, what)) = client.pop() {
            match what {
                What::Datagram(bytes) => {
                    let seen = payload::number(&bytes, size).ok_or_else(|| Failure("a wrong datagram".into()))?;
                    if seen == *number {
                        if std::mem::replace(&mut got[connection], true) {
                            return Err(Failure("a datagram came twice".into()));
                        }
                        delivered += 1;
                        give_up = Instant::now() + PATIENCE_OF_ALL;
                    }
                }
                What::Lost(reason) => return Err(Failure(format!("a connection was lost: {reason}"))),
                _ => {}
            }
        }
    }
    Ok(delivered)
}

fn check_loss(lost: u64, done: u64) -> Result<()> {
    if lost * MOST_LOST > lost + done {
        return Err(Failure(format!("{lost} of {} datagrams were lost", lost + done)));
    }
    Ok(())
}

/// After so long without any answer, all that is under way is lost.
const GIVE_UP: Duration = Duration::from_millis(20);

const PATIENCE_OF_ALL: Duration = Duration::from_millis(200);

/// One in so many may be lost.
const MOST_LOST: u64 = 50;
