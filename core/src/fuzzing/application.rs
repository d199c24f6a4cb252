//! What an application may do with a session or a stream, chosen by an input.

use std::time::Duration;

use super::input::Input;
use crate::{Connection, DatagramPriority, Direction, ReadError, Session, StreamId, WriteError};

/// Does something with a session; returns the stream that it opened or accepted.
pub(super) fn session(mut session: Session<'_>, choice: usize, input: &mut Input<'_>) -> Option<StreamId> {
    let direction = if choice & 1 == 0 { Direction::Unidirectional } else { Direction::Bidirectional };
    match choice & 15 {
        0 | 1 => return session.open(direction).ok(),
        2 | 3 => {
            let has = session.has_incoming(direction);
            let stream = session.accept(direction);
            assert_eq!(has, stream.is_some());
            return stream;
        }
        4 => _ = session.send_datagram(input.short()),
        5 => _ = session.force_datagram(input.short()),
        6 => {
            let has = session.has_datagrams();
            assert_eq!(has, session.recv_datagram().is_some());
        }
        7 => session.drain(),
        8 => session.close(u32::from(input.byte()), &String::from_utf8_lossy(input.short())),
        9 => session.finish(),
        10 => session.close(0, ""),
        11 => {
            let max = session.max_datagram_size();
            assert!(session.send_datagram(&vec![0; max + 1]).is_err());
        }
        12 => {
            let priority = [DatagramPriority::Low, DatagramPriority::Normal, DatagramPriority::High];
            let priority = priority[usize::from(input.byte()) % 3];
            _ = session.send_datagram_with_priority(input.short(), priority);
            _ = session.force_datagram_with_priority(input.short(), priority);
        }
        13 => {
            let mut options = session.datagram_options();
            let age = Duration::from_millis(u64::from(input.byte()) * 4);
            options.outgoing_max_age = Some(age).filter(|age| !age.is_zero());
            options.incoming_max_age = options.outgoing_max_age;
            options.outgoing_high_water_mark = usize::from(input.byte());
            options.incoming_high_water_mark = usize::from(input.byte());
            session.set_datagram_options(options);
        }
        14 => assert!(session.export_keying_material(b"label", b"", &mut [0; 16]).is_err(), "there is no TLS here"),
        _ => {
            assert!(session.request().is_some());
            _ = (session.response().is_some(), session.unacknowledged_streams(), session.stats());
        }
    }
    None
}

/// Does something with a stream, which need not be there.
pub(super) fn stream(connection: &mut Connection, id: StreamId, choice: usize, input: &mut Input<'_>) {
    match choice & 15 {
        0 | 1 => {
            let data = input.short();
            let result = connection.send_stream(id).write(data);
            assert!(result.is_err() || result.is_ok_and(|taken| taken <= data.len()));
        }
        2 => _ = connection.send_stream(id).write(&vec![7; usize::from(input.byte()) * 64]),
        3 => {
            let mut data = bytes::Bytes::copy_from_slice(input.short());
            let before = data.len();
            if let Ok(taken) = connection.send_stream(id).write_bytes(&mut data) {
                assert_eq!(taken + data.len(), before);
            }
        }
        4 | 5 => {
            if connection.send_stream(id).finish().is_ok() {
                assert_eq!(connection.send_stream(id).write(b"more"), Err(WriteError::Closed));
            }
        }
        6 => {
            if connection.send_stream(id).reset(u32::from(input.byte())).is_ok() {
                assert_eq!(connection.send_stream(id).reset(0), Err(WriteError::Closed));
            }
        }
        7 => _ = connection.send_stream(id).set_priority(i32::from(input.byte()) - 128),
        8 => {
            if connection.recv_stream(id).stop(u32::from(input.byte())).is_ok() {
                assert_eq!(connection.recv_stream(id).read(1), Err(ReadError::Closed));
            }
        }
        9 => {
            let max = usize::from(input.byte());
            if let Ok(Some(bytes)) = connection.recv_stream(id).read(max) {
                assert!(bytes.len() <= max && (max == 0 || !bytes.is_empty()));
            }
        }
        10 => {
            let mut stream = connection.send_stream(id);
            assert!(!(stream.is_open() && (stream.is_done() || stream.stopped().is_some())));
            _ = stream.stats();
            _ = (connection.recv_stream(id).stats(), connection.stats());
        }
        _ => while connection.recv_stream(id).read(usize::MAX).is_ok_and(|bytes| bytes.is_some()) {},
    }
}
