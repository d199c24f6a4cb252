//! The tasks that make a scenario's load.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use transom::{ClientBuilder, SendDatagramError, Session, SessionError};

use super::figures::Tally;
use super::scenario::Scenario;
use super::window::Window;
use crate::failure::Failure;
use crate::remote::{self, ABNORMAL, REFUSED};

/// Tasks at work until they are stopped. One that ends has failed.
pub(super) struct Load {
    sessions: Vec<Session>,
    tasks: JoinSet<Result<Infallible, Failure>>,
    /// Room for connections that are being closed.
    closing: Arc<Semaphore>,
}

impl Load {
    /// Connects and begins.
    pub(super) async fn start(
        scenario: Scenario,
        in_flight: u16,
        client: &ClientBuilder,
        url: &str,
        tally: &Arc<Tally>,
    ) -> Result<Self, Failure> {
        let url = scenario.url(url);
        let sessions = vec![connect(client, &url, scenario).await?];
        let closing = Arc::new(Semaphore::new(CLOSING as usize));
        let mut load = Self { sessions, tasks: JoinSet::new(), closing };
        for number in 0..in_flight {
            let (session, tally) = (load.sessions[0].clone(), Arc::clone(tally));
            match scenario {
                Scenario::Streams => _ = load.tasks.spawn(streams(session, tally)),
                Scenario::Datagrams32 | Scenario::Datagrams1100 => {
                    let size = if scenario == Scenario::Datagrams32 { 32 } else { 1_100 };
                    load.tasks.spawn(datagrams(session, size, in_flight.into(), tally));
                    // All that are under way are one task's.
                    break;
                }
                Scenario::Upload => _ = load.tasks.spawn(upload(session, tally)),
                Scenario::Download => {
                    if number > 0 {
                        load.sessions.push(connect(client, &url, scenario).await?);
                    }
                    let session = load.sessions.last().unwrap_or(&session).clone();
                    load.tasks.spawn(download(session, tally));
                }
                Scenario::Handshakes => {
                    load.tasks.spawn(handshakes(client.clone(), url.clone(), tally, Arc::clone(&load.closing)));
                }
            }
        }
        Ok(load)
    }

    /// Lets the tasks work for a time, and calls `look` every now and then.
    pub(super) async fn run(&mut self, time: Duration, look: &mut impl FnMut()) -> Result<(), Failure> {
        let end = tokio::time::sleep(time);
        tokio::pin!(end);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = &mut end => return Ok(()),
                Some(ended) = self.tasks.join_next() => return Err(failure(ended)),
                _ = tick.tick() => look(),
            }
        }
    }

    /// Stops the tasks and closes what is open.
    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
        let mut closing = JoinSet::new();
        for session in self.sessions {
            closing.spawn(session.shutdown(0, ""));
        }
        closing.join_all().await;
        // Each takes a second or so at most, and then the server does not hear of it.
        let _ = tokio::time::timeout(CLOSING_LIMIT, self.closing.acquire_many(CLOSING)).await;
    }
}

async fn connect(client: &ClientBuilder, url: &str, scenario: Scenario) -> Result<Session, Failure> {
    client.connect(url).await.map_err(|error| {
        let failure = remote::no_session(url, &error);
        if failure.is(REFUSED) {
            failure.and(&format!("; the server has to have {}", scenario.needs()))
        } else {
            failure
        }
    })
}

/// One small stream after the other, there and back.
async fn streams(session: Session, tally: Arc<Tally>) -> Result<Infallible, Failure> {
    loop {
        let began = Instant::now();
        if echo(&session).await.map_err(ended)? != MESSAGE {
            return Err(Failure::new("what came back on a stream is not what was sent").with_status(ABNORMAL));
        }
        tally.done(began.elapsed());
    }
}

async fn echo(session: &Session) -> Result<Bytes, SessionError> {
    let (mut send, mut recv) = session.open_bi().await?.split();
    send.write_bytes(Bytes::from_static(MESSAGE)).await?;
    send.finish()?;
    Ok(recv.read_to_end(2 * MESSAGE.len()).await?)
}

/// So many datagrams under way.
async fn datagrams(session: Session, size: usize, in_flight: usize, tally: Arc<Tally>) -> Result<Infallible, Failure> {
    let mut window = Window::default();
    let mut tick = tokio::time::interval(TICK);
    loop {
        while window.len() < in_flight {
            session.send_datagram(window.send(size, Instant::now())).map_err(|error| match error {
                SendDatagramError::TooLarge { .. } => Failure::new(format!(
                    "a datagram of {size} bytes does not fit: the path takes {}",
                    session.max_datagram_size()
                ))
                .with_status(ABNORMAL),
                error => ended(error.into()),
            })?;
        }
        tokio::select! {
            biased;
            datagram = session.recv_datagram() => match datagram.map_err(ended)? {
                Some(datagram) => {
                    if let Some(latency) = window.back(&datagram, Instant::now()) {
                        tally.done(latency);
                    }
                }
                None => return Err(closed(&session)),
            },
            _ = tick.tick() => {}
        }
        tally.lost(window.give_up(Instant::now()));
    }
}

/// One stream, as fast as it is taken.
async fn upload(session: Session, tally: Arc<Tally>) -> Result<Infallible, Failure> {
    let mut stream = session.open_uni().await.map_err(ended)?;
    loop {
        let taken = stream.write(&CHUNK).await.map_err(|error| ended(error.into()))?;
        tally.moved(taken);
    }
}

/// The streams that the server opens, as fast as they come.
async fn download(session: Session, tally: Arc<Tally>) -> Result<Infallible, Failure> {
    while let Some(mut stream) = session.accept_uni().await.map_err(ended)? {
        while let Some(bytes) = stream.read_bytes(usize::MAX).await.map_err(|error| ended(error.into()))? {
            tally.moved(bytes.len());
        }
    }
    Err(closed(&session))
}

/// One connection with a session after the other. Closing takes some round trips and is nobody's measure, so that others are
/// made meanwhile.
async fn handshakes(
    client: ClientBuilder,
    url: String,
    tally: Arc<Tally>,
    closing: Arc<Semaphore>,
) -> Result<Infallible, Failure> {
    loop {
        let began = Instant::now();
        let session = client.connect(&url).await.map_err(|error| remote::no_session(&url, &error))?;
        tally.done(began.elapsed());
        // Nobody closes the semaphore.
        let room = Arc::clone(&closing).acquire_owned().await;
        tokio::spawn(async move {
            session.shutdown(0, "").await;
            drop(room);
        });
    }
}

fn failure(ended: Result<Result<Infallible, Failure>, JoinError>) -> Failure {
    match ended {
        Ok(Err(failure)) => failure,
        Ok(Ok(never)) => match never {},
        Err(error) => Failure::new(format!("a task of the load failed: {error}")).with_status(ABNORMAL),
    }
}

fn ended(error: SessionError) -> Failure {
    Failure::new(format!("the session did not last: {error}")).with_status(ABNORMAL)
}

fn closed(session: &Session) -> Failure {
    let end = session.end().map_or_else(|| "it was closed".to_owned(), ToString::to_string);
    Failure::new(format!("the session did not last: {end}")).with_status(ABNORMAL)
}

/// What small streams carry.
const MESSAGE: &[u8] = b"sixteen bytes ok";

/// What uploads are made of.
static CHUNK: [u8; 64 * 1024] = [0x5a; 64 * 1024];

/// How often one looks up from the work.
const TICK: Duration = Duration::from_millis(100);

/// Connections that are being closed at a time: each has a socket, of which a process may often have no more than 1,024.
const CLOSING: u32 = 512;

/// How long to wait for them in the end.
const CLOSING_LIMIT: Duration = Duration::from_secs(2);
