//! What is no QUIC, or no QUIC for us (2.1 of the catalogue): datagrams to the server's port from a plain socket.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::{Case, Reaction, Scene};
use crate::raw::Failure;
use Reaction::GoesOn;

pub(super) fn cases() -> Vec<Case> {
    let silent = |rows, name: &str, datagrams: fn() -> Vec<Vec<u8>>| {
        Case::new(rows, name, &[GoesOn], move |scene: &Scene<'_>| {
            let answers = exchange(scene.target.address, &datagrams())?;
            let longest = answers.iter().map(Vec::len).max().unwrap_or(0);
            if longest > 0 {
                return Err(Failure::unexpected(format!("{} answers of up to {longest} bytes", answers.len())));
            }
            scene.in_session()?.reaction_of_connection()
        })
    };
    let cases = [
        silent("1", "2000 empty datagrams", || vec![Vec::new(); 2000]),
        silent("2", "datagrams of 1 to 20 bytes", || {
            (1..=20).map(|length| vec![0x40 | length; length.into()]).collect()
        }),
        silent("4", "Initial in a datagram of 1199 bytes", || vec![long_header(1, 8, 1199)]),
        silent("6", "unknown version in 1199 bytes", || vec![long_header(0x1a2a_3a4a, 8, 1199)]),
        silent("7", "Version Negotiation to the server", || vec![long_header(0, 8, 1200)]),
        short_destination_id(),
        silent("2", "2000 Initials that cannot be decrypted", || {
            (0..2000u32).map(|n| with_number(long_header(1, 8, 1200), n)).collect()
        }),
        unknown_version(),
    ];
    cases.map(Case::alone).into()
}

/// 1200 bytes of an unknown version: Version Negotiation, no larger than what caused it.
fn unknown_version() -> Case {
    Case::new("5", "unknown version in 1200 bytes", &[GoesOn], |scene: &Scene<'_>| {
        let answers = exchange(scene.target.address, &[long_header(0x1a2a_3a4a, 8, 1200)])?;
        let [answer] = answers.as_slice() else {
            return Err(Failure::unexpected(format!("{} answers", answers.len())));
        };
        let negotiation = answer.len() > 7 && answer[0] & 0x80 != 0 && answer[1..5] == [0; 4];
        let offers_v1 = answer.windows(4).skip(5).any(|version| version == [0, 0, 0, 1]);
        if !negotiation || !offers_v1 || answer.len() > 1200 {
            return Err(Failure::unexpected(format!("the answer is {answer:02x?}")));
        }
        scene.in_session()?.reaction_of_connection()
    })
}

/// Dropped, or refused with one packet smaller than what caused it, as quinn does.
fn short_destination_id() -> Case {
    Case::new("14", "Initial with a destination id of 7 bytes", &[GoesOn], |scene: &Scene<'_>| {
        let answers = exchange(scene.target.address, &[long_header(1, 7, 1200)])?;
        if answers.len() > 1 || answers.iter().any(|answer| answer.len() >= 1200) {
            return Err(Failure::unexpected(format!("{} answers", answers.len())));
        }
        scene.in_session()?.reaction_of_connection()
    })
}

/// A packet with a long header of this version, zeros behind it.
fn long_header(version: u32, destination_id: u8, length: usize) -> Vec<u8> {
    let mut packet = vec![0xc0];
    packet.extend(version.to_be_bytes());
    packet.push(destination_id);
    packet.extend((0..destination_id).map(|byte| byte + 1));
    packet.extend([8, 1, 2, 3, 4, 5, 6, 7, 8, 0]);
    // The length field of an Initial: all that follows.
    let rest = length - packet.len() - 2;
    packet.extend((0x4000 | rest as u16).to_be_bytes());
    packet.resize(length, 0);
    packet
}

/// Makes the destination id another one.
fn with_number(mut packet: Vec<u8>, number: u32) -> Vec<u8> {
    packet[6..10].copy_from_slice(&number.to_be_bytes());
    packet
}

/// Sends datagrams and collects what comes back within a short while.
fn exchange(server: SocketAddr, datagrams: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Failure> {
    let local: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::LOCALHOST, 0).into() } else { (Ipv6Addr::LOCALHOST, 0).into() };
    let socket = UdpSocket::bind(local)?;
    for datagram in datagrams {
        socket.send_to(datagram, server)?;
    }
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut answers = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => answers.push(buffer[..length].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(answers),
            Err(error) => return Err(error.into()),
        }
    }
}
