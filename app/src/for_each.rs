//! Serving the streams of a session side by side, in the task that asks for it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::OptionFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use transom_core::{Direction, SessionEnd, StreamId};

use crate::driver::{Kind, Place};
use crate::error::SessionError;
use crate::server::{IntoOutcome, failure_of};
use crate::session::{Session, none_if_clean};
use crate::stream::{BiStream, RecvStream};

impl Session {
    /// Serves every bidirectional stream that the peer opens, all of them at the same time, until the session is closed
    /// by either side and the last stream was served.
    ///
    /// `serve` makes a future for each stream. They all run in the task that awaits this, each when something happened
    /// for it: that is cheaper than a task for each stream, may borrow what is around, and ends with the caller. So they
    /// must not block or compute for long; what does so belongs into a task of its own. At most
    /// [`Config::max_bidi_streams`](crate::Config::max_bidi_streams) are open at a time.
    ///
    /// What a future returns says how it went with its stream alone: an error is logged at the level `debug`, and the
    /// other streams go on. A panic is the caller's.
    ///
    /// # Errors
    ///
    /// [`SessionError::Ended`] when the session ended without being closed: the connection was lost, or a side
    /// aborted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops those of the streams under way, which resets and stops these streams with code 0. No
    /// other stream is lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use transom::{BiStream, Session, SessionError};
    ///
    /// async fn echo(session: Session) -> Result<(), SessionError> {
    ///     session.for_each_bi(echo_stream).await
    /// }
    ///
    /// async fn echo_stream(mut stream: BiStream) -> Result<(), SessionError> {
    ///     while let Some(data) = stream.recv.read_bytes(64 * 1024).await? {
    ///         stream.send.write_bytes(data).await?;
    ///     }
    ///     Ok(stream.send.finish()?)
    /// }
    /// ```
    pub async fn for_each_bi<F, Fut>(&self, mut serve: F) -> Result<(), SessionError>
    where
        F: FnMut(BiStream) -> Fut,
        Fut: Future<Output: IntoOutcome>,
    {
        let serve = |id| logged(id, serve(self.bi_stream(id)));
        self.for_each(Direction::Bidirectional, Kind::AcceptBidirectional, serve).await
    }

    /// Serves every unidirectional stream that the peer opens, as [`for_each_bi`](Self::for_each_bi) does.
    ///
    /// # Errors
    ///
    /// Those of [`for_each_bi`](Self::for_each_bi).
    ///
    /// # Cancel safety
    ///
    /// That of [`for_each_bi`](Self::for_each_bi).
    pub async fn for_each_uni<F, Fut>(&self, mut serve: F) -> Result<(), SessionError>
    where
        F: FnMut(RecvStream) -> Fut,
        Fut: Future<Output: IntoOutcome>,
    {
        let serve = |id| logged(id, serve(self.recv_stream(id)));
        self.for_each(Direction::Unidirectional, Kind::AcceptUnidirectional, serve).await
    }

    async fn for_each<Fut>(
        &self,
        direction: Direction,
        kind: Kind,
        mut serve: impl FnMut(StreamId) -> Fut,
    ) -> Result<(), SessionError>
    where
        Fut: Future<Output = ()>,
    {
        let mut place = Place::new(self.cell(), kind);
        let mut serving = Serving::default();
        let mut ended = None;
        let poll = |context: &mut Context<'_>| -> Poll<SessionEnd> {
            while ended.is_none() {
                match place.poll(context, |mut session| session.accept(direction)) {
                    Poll::Ready(Ok(id)) => serving.begin(serve(id), context),
                    Poll::Ready(Err(end)) => ended = Some(end),
                    Poll::Pending => break,
                }
            }
            if serving.poll(context).is_pending() {
                return Poll::Pending;
            }
            ended.take().map_or(Poll::Pending, Poll::Ready)
        };
        none_if_clean::<()>(Err(poll_fn(poll).await)).map(|_| ())
    }
}

/// The streams of a session that are being served.
struct Serving<Fut> {
    /// Those that wait for something. Made with the first of them: it has room for one from the beginning, which an idle
    /// session need not have.
    waiting: Option<FuturesUnordered<Pin<Box<OptionFuture<Fut>>>>>,
    /// The memory of one that is through, for the next.
    spare: Option<Pin<Box<OptionFuture<Fut>>>>,
}

impl<Fut> Default for Serving<Fut> {
    fn default() -> Self {
        Self { waiting: None, spare: None }
    }
}

impl<Fut: Future<Output = ()>> Serving<Fut> {
    /// Begins with a stream. A short one is here already with its end, and served at once: it joins no list and, as a rule,
    /// takes no memory.
    fn begin(&mut self, future: Fut, context: &mut Context<'_>) {
        let future = OptionFuture::from(Some(future));
        let mut place = match self.spare.take() {
            Some(mut place) => {
                place.set(future);
                place
            }
            None => Box::pin(future),
        };
        if place.as_mut().poll(context).is_ready() {
            place.set(OptionFuture::from(None));
            self.spare = Some(place);
        } else {
            self.waiting.get_or_insert_default().push(place);
        }
    }

    /// Goes on with those for which something happened; ready when none is left.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(()) };
        while let Poll::Ready(Some(_)) = waiting.poll_next_unpin(context) {}
        if waiting.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A stream's future, whose failure nobody else would hear of.
async fn logged(id: StreamId, serving: impl Future<Output: IntoOutcome>) {
    if let Some((code, reason)) = failure_of(serving.await.into_outcome()) {
        tracing::debug!(stream = %id, code, reason, "serving a stream failed");
    }
}
