//! What runs before a server listens, and after it has stopped.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use transom_core::middleware::{Arrival, Decision, Middleware};
use transom_core::rt::Runtime;

use super::dispatch::{catch_panic, panic_text};
use super::outcome::{Kind, Outcome};
use crate::driver::{Deadline, Done, Shared};
use crate::error::ServeError;

/// A middleware that has something to begin before the server listens, and to end after it has stopped.
///
/// # Examples
///
/// ```
/// use transom::{Arrival, Decision, Middleware, ServerApp, StatefulMiddleware};
///
/// struct Blocklist;
///
/// impl Middleware for Blocklist {
///     fn decide(&self, _: &Arrival<'_>) -> Decision {
///         Decision::Continue
///     }
/// }
///
/// impl StatefulMiddleware for Blocklist {
///     async fn start(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///         Ok(()) // load the list
///     }
/// }
///
/// let app = ServerApp::new().stateful_middleware(Blocklist);
/// ```
pub trait StatefulMiddleware: Middleware {
    /// Begins; the server does not listen before this is done, and not at all if it fails.
    fn start(&self) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send {
        async { Ok(()) }
    }

    /// Ends; called once if `start` succeeded, when no session is left.
    fn stop(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Middleware that the app knows as well.
pub(super) struct Known<M>(pub(super) Arc<M>);

impl<M: Middleware> Middleware for Known<M> {
    fn decide(&self, arrival: &Arrival<'_>) -> Decision {
        self.0.decide(arrival)
    }

    fn judges_origin(&self) -> bool {
        self.0.judges_origin()
    }
}

/// What an app has to do before it listens and after it stopped, in the order in which it was added.
pub(super) struct Hooks<S> {
    steps: Vec<Step<S>>,
    pub(super) timeout: Duration,
}

struct Step<S> {
    start: Option<Hook<S>>,
    stop: Option<Hook<S>>,
}

/// A hook with what to call it in messages.
struct Hook<S> {
    name: String,
    run: Box<dyn FnOnce(S) -> Running + Send>,
}

type Running = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What is left to do after the server has stopped.
pub(super) struct Stops {
    /// The last to begin is the first to end.
    stops: Vec<Hook<()>>,
    timeout: Duration,
}

/// Whether the end has been reached, and with which failure.
#[derive(Debug, Default)]
pub(super) struct Finish(Mutex<FinishState>);

#[derive(Debug, Default)]
struct FinishState {
    result: Option<Result<(), Failure>>,
    waiting: Vec<Waker>,
}

/// What runs the hooks; when a runtime that ends drops it before, nobody shall wait for them.
struct Ending(Arc<Finish>);

/// A hook that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    hook: String,
    reason: String,
}

impl<S: Clone + Send + 'static> Hooks<S> {
    pub(super) fn new() -> Self {
        Self { steps: Vec::new(), timeout: TIMEOUT }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn on_startup<Fut>(&mut self, hook: impl FnOnce(S) -> Fut + Send + 'static, at: &Location<'_>)
    where
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        self.steps.push(Step { start: Some(Hook::of_user("startup", at, hook)), stop: None });
    }

    pub(super) fn on_shutdown<Fut>(&mut self, hook: impl FnOnce(S) -> Fut + Send + 'static, at: &Location<'_>)
    where
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        self.steps.push(Step { start: None, stop: Some(Hook::of_user("shutdown", at, hook)) });
    }

    pub(super) fn middleware<M: StatefulMiddleware>(&mut self, middleware: &Arc<M>, at: &Location<'_>) {
        let (starts, stops) = (Arc::clone(middleware), Arc::clone(middleware));
        let name = |what| format!("{what} of the middleware added at {at}");
        let start =
            Hook::new(name("start"), |_: S| async move { starts.start().await.map_err(|error| error.to_string()) });
        let stop = Hook::new(name("stop"), |_: S| async move {
            stops.stop().await;
            Ok(())
        });
        self.steps.push(Step { start: Some(start), stop: Some(stop) });
    }

    /// Takes over those of an app that becomes part of this one.
    pub(super) fn append(&mut self, other: Self) {
        self.steps.extend(other.steps);
    }

    /// Runs what has to run first, in order; when something fails, ends what was begun before it.
    pub(super) async fn start(self, state: &S, runtime: &Arc<dyn Runtime>) -> Result<Stops, ServeError> {
        let mut stops = Stops { stops: Vec::new(), timeout: self.timeout };
        for Step { start, stop } in self.steps {
            if let Some(hook) = start
                && let Err(Failure { hook, reason }) = hook.bound(state.clone(), self.timeout, runtime).await
            {
                // What fails while the rest is ended is in the log; the first failure is the one to tell.
                let _ = stops.run(runtime).await;
                return Err(ServeError::Startup { hook, reason });
            }
            stops.stops.extend(stop.map(|hook| hook.with(state.clone())));
        }
        Ok(stops)
    }
}

impl<S: Send + 'static> Hook<S> {
    fn new<Fut>(name: String, run: impl FnOnce(S) -> Fut + Send + 'static) -> Self
    where
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        // Called inside the future, so that a panic of it is caught like one of its body.
        Self { name, run: Box::new(|state| Box::pin(async move { run(state).await })) }
    }

    fn of_user<Fut>(kind: &str, at: &Location<'_>, run: impl FnOnce(S) -> Fut + Send + 'static) -> Self
    where
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        Self::new(format!("{kind} hook at {at}"), async |state| match run(state).await.0 {
            Kind::Done => Ok(()),
            Kind::Failed { reason, .. } => Err(reason),
            Kind::Ended(end) => Err(end.to_string()),
        })
    }

    fn with(self, state: S) -> Hook<()> {
        Hook { name: self.name, run: Box::new(move |()| (self.run)(state)) }
    }

    async fn bound(self, state: S, timeout: Duration, runtime: &Arc<dyn Runtime>) -> Result<(), Failure> {
        let mut deadline = Deadline::after(runtime, timeout);
        let reason = match deadline.bound(catch_panic((self.run)(state))).await {
            Some(Ok(Ok(()))) => return Ok(()),
            Some(Ok(Err(reason))) => reason,
            Some(Err(panic)) => format!("it panicked: {}", panic_text(&*panic)),
            None => format!("it was not done after {timeout:?}"),
        };
        tracing::error!(hook = self.name, reason, "a hook failed");
        Err(Failure { hook: self.name, reason })
    }
}

impl Stops {
    pub(super) fn is_empty(&self) -> bool {
        self.stops.is_empty()
    }

    /// Runs all, the last first, also when some fail; the first failure.
    pub(super) async fn run(mut self, runtime: &Arc<dyn Runtime>) -> Result<(), Failure> {
        let mut result = Ok(());
        while let Some(hook) = self.stops.pop() {
            let this = hook.bound((), self.timeout, runtime).await;
            result = result.and(this);
        }
        result
    }

    /// Runs all once the endpoints are done, however they end.
    pub(super) fn after(self, endpoints: Vec<Arc<Shared>>, runtime: &Arc<dyn Runtime>) -> Arc<Finish> {
        let finish = Arc::new(Finish::default());
        let (ending, spawned_on) = (Ending(Arc::clone(&finish)), Arc::clone(runtime));
        runtime.spawn(Box::pin(async move {
            for endpoint in endpoints {
                let mut done = Done::new(&endpoint);
                let _ = poll_fn(|context| done.poll(context)).await;
            }
            ending.0.set(self.run(&spawned_on).await);
        }));
        finish
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let reason = String::from("the runtime ended before they had run");
        self.0.set(Err(Failure { hook: String::from("shutdown hooks"), reason }));
    }
}

impl Finish {
    /// The first result stands.
    fn set(&self, result: Result<(), Failure>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.result.get_or_insert(result);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits for the end.
    pub(super) async fn wait(&self) -> Result<(), ServeError> {
        let result = poll_fn(|context| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(result) = &state.result {
                return Poll::Ready(result.clone());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        });
        result.await.map_err(|Failure { hook, reason }| ServeError::Shutdown { hook, reason })
    }
}

/// How long one hook may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
