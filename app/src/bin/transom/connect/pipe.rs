//! Standard input into the session, and what comes in to standard output.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use transom::{BiStream, ReadError, RecvStream, SendDatagramError, SendStream, Session, SessionError};

use super::{ABNORMAL, Mode};
use crate::failure::Failure;
use crate::output;

/// Copies until everything is over in the way that belongs to `mode`, or the session ended.
///
/// # Errors
///
/// A stream was reset or stopped, or standard input or output failed. The end of the session is no error here.
pub(super) async fn run(mode: Mode, session: &Session) -> Result<(), Failure> {
    match mode {
        Mode::Bidi => bidi(session).await,
        Mode::Uni => uni(session).await,
        Mode::Datagram => datagrams(session).await,
    }
}

async fn bidi(session: &Session) -> Result<(), Failure> {
    let BiStream { send, recv } = match session.open_bi().await {
        Ok(stream) => stream,
        Err(error) => return unless_ended(error),
    };
    let mut input = std::pin::pin!(send_input(send));
    let mut output = std::pin::pin!(print(recv));
    tokio::select! {
        // The server has said everything; standard input may stay open for ever, as that of a terminal does.
        printed = &mut output => printed,
        sent = &mut input => {
            // It may have stopped our stream and yet have something to say.
            let printed = output.await;
            sent.and(printed)
        }
    }
}

async fn uni(session: &Session) -> Result<(), Failure> {
    let stream = match session.open_uni().await {
        Ok(stream) => stream,
        Err(error) => return unless_ended(error),
    };
    let mut input = std::pin::pin!(send_input(stream));
    let mut input_ended = false;
    let mut printed = 0_u64;
    loop {
        let next = tokio::select! {
            biased;
            stream = session.accept_uni() => stream,
            done = &mut input, if !input_ended => {
                done?;
                input_ended = true;
                continue;
            }
            () = tokio::time::sleep(QUIET), if input_ended && printed > 0 => return Ok(()),
        };
        let Ok(Some(stream)) = next else { return Ok(()) };
        let mut output = std::pin::pin!(print(stream));
        loop {
            tokio::select! {
                ended = &mut output => break ended?,
                done = &mut input, if !input_ended => {
                    done?;
                    input_ended = true;
                }
            }
        }
        printed += 1;
    }
}

async fn datagrams(session: &Session) -> Result<(), Failure> {
    let mut lines = input_lines();
    let mut output = tokio::io::stdout();
    let mut input_ended = false;
    let (mut sent, mut received) = (0_u64, 0_u64);
    while !input_ended || received < sent {
        tokio::select! {
            line = lines.recv(), if !input_ended => match line {
                Some(line) => sent += u64::from(send_line(session, line?).await?),
                None => input_ended = true,
            },
            datagram = session.recv_datagram() => {
                let Ok(Some(datagram)) = datagram else { return Ok(()) };
                received += 1;
                let line = [&datagram[..], b"\n"].concat();
                write(&mut output, &line).await?;
            }
            () = tokio::time::sleep(PATIENCE), if input_ended => return Ok(()),
        }
    }
    Ok(())
}

/// Sends one datagram; says whether it went out.
async fn send_line(session: &Session, line: Bytes) -> Result<bool, Failure> {
    let length = line.len();
    match session.send_datagram_wait(line).await {
        Ok(()) => Ok(true),
        Err(SendDatagramError::TooLarge { max }) => {
            output::note(&format!(
                "transom: a line of {length} bytes was not sent: the most that fits a datagram is {max} bytes"
            ));
            Ok(false)
        }
        // The session is over, which is reported elsewhere.
        Err(_) => Ok(false),
    }
}

/// Lines of standard input without their ends, read on another task because a half-read line must not be dropped.
fn input_lines() -> mpsc::Receiver<Result<Bytes, Failure>> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    tokio::spawn(async move {
        let mut input = BufReader::new(tokio::io::stdin());
        loop {
            let line = match read_line(&mut input).await {
                Ok(None) => return,
                Ok(Some(line)) => Ok(Bytes::from(line)),
                Err(error) => Err(input_failed(&error)),
            };
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// One line without its end; of a line that cannot fit a datagram anyway only the beginning is kept.
async fn read_line(input: &mut BufReader<tokio::io::Stdin>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let buffer = input.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(any.then_some(line));
        }
        any = true;
        let (part, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at, true),
            None => (buffer.len(), false),
        };
        line.extend_from_slice(&buffer[..part.min(MAX_LINE.saturating_sub(line.len()))]);
        input.consume(part + usize::from(ended));
        if ended {
            return Ok(Some(line));
        }
    }
}

async fn send_input(mut stream: SendStream) -> Result<(), Failure> {
    let mut input = tokio::io::stdin();
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match input.read_buf(&mut buffer).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(input_failed(&error)),
        }
        if let Err(error) = stream.write_bytes(buffer.split().freeze()).await {
            return unless_ended(error);
        }
    }
    stream.finish().or_else(unless_ended)
}

async fn print(mut stream: RecvStream) -> Result<(), Failure> {
    let mut output = tokio::io::stdout();
    let mut printed = false;
    loop {
        match stream.read_bytes(CHUNK).await {
            Ok(Some(chunk)) => {
                printed = true;
                write(&mut output, &chunk).await?;
            }
            Ok(None) => return Ok(()),
            // What was printed is not all there was, and nobody could tell from the output.
            Err(ReadError::SessionEnded(_)) if printed => {
                return Err(Failure::new("the session ended in the middle of a stream").with_status(ABNORMAL));
            }
            Err(error) => return unless_ended(error),
        }
    }
}

async fn write(output: &mut tokio::io::Stdout, bytes: &[u8]) -> Result<(), Failure> {
    let written = async {
        output.write_all(bytes).await?;
        output.flush().await
    };
    written.await.map_err(|error| Failure::new(format!("writing to standard output failed: {error}")))
}

/// The end of the session is reported elsewhere; everything else is a failure.
fn unless_ended(error: impl Into<SessionError>) -> Result<(), Failure> {
    let error = error.into();
    match error.session_end() {
        Some(_) => Ok(()),
        None => Err(Failure::new(error.to_string()).with_status(ABNORMAL)),
    }
}

fn input_failed(error: &io::Error) -> Failure {
    Failure::new(format!("reading standard input failed: {error}"))
}

/// Bytes read at a time, at most.
const CHUNK: usize = 64 * 1024;
/// Bytes kept of a line: far more than any datagram carries.
const MAX_LINE: usize = 1024 * 1024;
/// Lines read before they are sent.
const LINES_AHEAD: usize = 16;
/// How long another stream may take to come once everything seems to be over.
const QUIET: Duration = Duration::from_millis(200);
/// How long a datagram may take to come back.
const PATIENCE: Duration = Duration::from_secs(1);
