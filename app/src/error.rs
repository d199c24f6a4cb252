//! Errors: the end of a session, results of operations, and what keeps servers and clients from starting.
//!
//! Operations here wait instead of being blocked, so none of these errors says "try again later".

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use thiserror::Error;
use transom_core::{ConfigError, ConnectError, ConnectionError, SendDatagramError, SessionEnd};

use crate::tls::TlsError;

/// Why an operation on a session failed; every error of a stream or datagram converts into it with `?`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session is over.
    #[error(transparent)]
    Ended(#[from] SessionEnd),
    /// Reading from a stream failed; the session may be fine.
    #[error(transparent)]
    Read(ReadError),
    /// Reading an exact number of bytes failed.
    #[error(transparent)]
    ReadExact(ReadExactError),
    /// Reading a whole stream failed.
    #[error(transparent)]
    ReadToEnd(ReadToEndError),
    /// Writing to a stream failed; the session may be fine.
    #[error(transparent)]
    Write(WriteError),
    /// A datagram was not taken.
    #[error(transparent)]
    Datagram(#[from] SendDatagramError),
    /// A request could not be accepted any more.
    #[error("the client went away before its request was answered, or waited too long")]
    RequestGone,
}

impl SessionError {
    /// Why the session ended, if that is what this error is about.
    pub fn session_end(&self) -> Option<&SessionEnd> {
        match self {
            Self::Ended(end)
            | Self::Read(ReadError::SessionEnded(end))
            | Self::ReadExact(ReadExactError::Read(ReadError::SessionEnded(end)))
            | Self::ReadToEnd(ReadToEndError::Read(ReadError::SessionEnded(end)))
            | Self::Write(WriteError::SessionEnded(end)) => Some(end),
            _ => None,
        }
    }
}

/// Why a stream gave no bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The peer reset the stream; the code is absent when it was not an application code.
    #[error("the peer reset the stream with code {0:?}")]
    Reset(Option<u32>),
    /// The stream was stopped on our side, or its reset has been reported before.
    #[error("the stream is closed")]
    Closed,
    /// The session ended before the stream did.
    #[error("the session of the stream is over: {0}")]
    SessionEnded(SessionEnd),
}

/// Why an exact number of bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadExactError {
    /// The stream ended first.
    #[error("the stream ended after {0} bytes")]
    FinishedEarly(usize),
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a stream could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadToEndError {
    /// The peer sent more than the limit given.
    #[error("the stream is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a stream took no bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The peer asked us to stop; the code is absent when it was not an application code.
    #[error("the peer stopped the stream with code {0:?}")]
    Stopped(Option<u32>),
    /// The stream was finished or reset on our side.
    #[error("the stream is closed")]
    Closed,
    /// The session ended before the stream did.
    #[error("the session of the stream is over: {0}")]
    SessionEnded(SessionEnd),
}

/// Why a server did not start, or stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No runtime was given, and we are not called inside one that we know.
    #[error("no async runtime: call this inside tokio, or give one to ServerApp::runtime")]
    NoRuntime,
    /// [`Serve::run`](crate::Serve::run) was called inside a runtime, which must not be blocked.
    #[error("run() blocks and brings executors of its own: inside an async runtime, await the server instead")]
    InsideRuntime,
    /// A name given as address could not be resolved, or means no address at all.
    #[error("cannot resolve the address to listen on: {0}")]
    Resolve(#[source] io::Error),
    /// An address could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The app has startup or shutdown hooks or stateful middleware, which [`Serve::start`](crate::Serve::start) cannot
    /// wait for.
    #[error("the app has hooks or stateful middleware, which take time: use launch().await instead of start()")]
    HooksNeedLaunch,
    /// A handler takes an [`Identity`](crate::Identity) that no authentication gives for any path of its route.
    #[error(
        "route {route:?}: its handler takes an Identity<{wanted}>, and no authentication gives one there: add \
         ServerApp::authenticate with a pattern that has its paths, and a function that returns a {wanted}"
    )]
    NoIdentity {
        /// The pattern of the route.
        route: String,
        /// The type that the handler takes.
        wanted: &'static str,
    },
    /// The directory for qlog files cannot be used.
    #[error("cannot write qlog files to {}: {source}", path.display())]
    Qlog {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something that has to run before the server listens failed; what was begun before it has been ended.
    #[error("the server does not start: {hook} failed: {reason}")]
    Startup {
        /// What failed, and where it stands in the program.
        hook: String,
        /// Why.
        reason: String,
    },
    /// Something that runs after the server has stopped failed; everything else was done.
    #[error("the server has stopped, but {hook} failed: {reason}")]
    Shutdown {
        /// What failed, and where it stands in the program.
        hook: String,
        /// Why.
        reason: String,
    },
    /// A socket failed while serving.
    #[error("a listening socket failed: {0}")]
    Socket(#[source] Arc<io::Error>),
}

/// Why a client has no session.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No runtime was given, and we are not called inside one that we know.
    #[error("no async runtime: call this inside tokio, or give one to ClientBuilder::runtime")]
    NoRuntime,
    /// The URL is not one of the form `https://host[:port]/path`; the sentence says what is wrong.
    #[error("invalid URL: {0}")]
    InvalidUrl(String),
    /// A header field given to the builder cannot be sent.
    #[error("invalid header field: {0}")]
    InvalidHeader(String),
    /// The host name could not be resolved.
    #[error("cannot resolve the host name: {0}")]
    Resolve(#[source] io::Error),
    /// The directory for qlog files cannot be used.
    #[error("cannot write qlog files to {}: {source}", path.display())]
    Qlog {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// No local socket could be opened.
    #[error("cannot open a socket: {0}")]
    Socket(#[source] io::Error),
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The certificates to trust cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No connection could be started.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection failed; a certificate that is not trusted shows here as well.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The server speaks HTTP/3, but not WebTransport in a version that we know.
    #[error("the server does not offer WebTransport")]
    NotSupported,
    /// The session ended before the server answered.
    #[error(transparent)]
    Session(SessionEnd),
    /// The server refused the session; redirects are refusals, too.
    #[error("the server refused the session with status {status}")]
    Refused {
        /// The status it gave.
        status: StatusCode,
        /// Its header fields.
        headers: HeaderMap,
    },
    /// The deadline passed.
    #[error("no session within the time allowed")]
    TimedOut,
}

impl From<ReadError> for SessionError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::SessionEnded(end) => Self::Ended(end),
            error => Self::Read(error),
        }
    }
}

impl From<ReadExactError> for SessionError {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::Read(error) => error.into(),
            error @ ReadExactError::FinishedEarly(_) => Self::ReadExact(error),
        }
    }
}

impl From<ReadToEndError> for SessionError {
    fn from(error: ReadToEndError) -> Self {
        match error {
            ReadToEndError::Read(error) => error.into(),
            error @ ReadToEndError::TooLong { .. } => Self::ReadToEnd(error),
        }
    }
}

impl From<WriteError> for SessionError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::SessionEnded(end) => Self::Ended(end),
            error => Self::Write(error),
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match error {
            ReadError::Reset(_) => io::ErrorKind::ConnectionReset,
            ReadError::Closed | ReadError::SessionEnded(_) => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        let kind = match error {
            WriteError::Stopped(_) => io::ErrorKind::BrokenPipe,
            WriteError::Closed | WriteError::SessionEnded(_) => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_session_is_found_however_it_was_met() {
        let end = SessionEnd::ClosedByPeer { code: 7, reason: String::from("bye") };
        let met: [SessionError; 5] = [
            end.clone().into(),
            ReadError::SessionEnded(end.clone()).into(),
            ReadExactError::Read(ReadError::SessionEnded(end.clone())).into(),
            ReadToEndError::Read(ReadError::SessionEnded(end.clone())).into(),
            WriteError::SessionEnded(end.clone()).into(),
        ];
        for error in met {
            assert_eq!(error.session_end(), Some(&end));
        }
        assert_eq!(SessionError::from(ReadError::Reset(None)).session_end(), None);
    }

    #[test]
    fn errors_are_small_enough_to_return() {
        assert!(size_of::<SessionError>() <= 72, "{}", size_of::<SessionError>());
    }
}
