//! Which addresses the demo takes, and what it says when it cannot.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use tokio::net::TcpListener;
use transom::ServeError;

use crate::failure::Failure;

/// The UDP addresses to serve on: `wanted`, or the default on both loopback addresses as far as there are two.
pub(super) fn udp(wanted: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if !wanted.is_empty() {
        return wanted;
    }
    let mut addresses = vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), UDP_PORT)];
    if has_ipv6_loopback() {
        addresses.push(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), UDP_PORT));
    } else {
        tracing::warn!("this machine has no address ::1; serving on 127.0.0.1 only");
    }
    addresses
}

/// What keeps the server from starting.
pub(super) fn no_server(error: &ServeError) -> Failure {
    match error {
        ServeError::Bind { address, source } => cannot_listen("UDP", *address, "--listen", source),
        error => Failure::new(format!("starting the server failed: {error}")),
    }
}

/// Listens for the web page on `wanted`, or on the default port of both loopback addresses as far as there are two.
pub(super) async fn web(wanted: Option<SocketAddr>) -> Result<Vec<TcpListener>, Failure> {
    if let Some(address) = wanted {
        return Ok(vec![listen_tcp(address).await?]);
    }
    let mut listeners = vec![listen_tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), WEB_PORT)).await?];
    if has_ipv6_loopback() {
        // Not optional: a browser may take `localhost` for ::1, and would reach whoever else listens there.
        listeners.push(listen_tcp(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), WEB_PORT)).await?);
    }
    Ok(listeners)
}

/// The origins that the page has, under each of the names one can open it by.
pub(super) fn page_origins(web: &[TcpListener]) -> Vec<String> {
    let mut origins = Vec::new();
    for address in web.iter().filter_map(|listener| listener.local_addr().ok()) {
        let port = address.port();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned(), host(reachable(address.ip()))];
        for name in names {
            // Browsers leave the default port out of an origin.
            let origin = if port == 80 { format!("http://{name}") } else { format!("http://{name}:{port}") };
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
    }
    origins
}

/// The URL of the first of the server's addresses.
pub(super) fn url(udp: &[SocketAddr]) -> String {
    udp.first()
        .map_or_else(String::new, |address| format!("https://{}:{}", host(reachable(address.ip())), address.port()))
}

/// The URL of the web page.
pub(super) fn web_url(web: &[TcpListener]) -> String {
    let Some(address) = web.iter().find_map(|listener| listener.local_addr().ok()) else { return String::new() };
    let ip = address.ip();
    // Browsers give WebTransport to pages from this machine only, or from https.
    let name = if ip.is_loopback() || ip.is_unspecified() { "localhost".to_owned() } else { host(ip) };
    format!("http://{name}:{}", address.port())
}

fn has_ipv6_loopback() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

async fn listen_tcp(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| cannot_listen("TCP", address, "--web", &error))
}

fn cannot_listen(protocol: &str, address: SocketAddr, option: &str, error: &io::Error) -> Failure {
    let advice: &dyn Display = match error.kind() {
        io::ErrorKind::AddrInUse => &format!(
            "another program uses it. Stop that program, or choose another port with {option} {}",
            SocketAddr::new(address.ip(), 0)
        ),
        io::ErrorKind::AddrNotAvailable => {
            &format!("this machine has no such address. Choose one it has with {option}")
        }
        io::ErrorKind::PermissionDenied => &format!("it is not permitted. Choose a port from 1024 up with {option}"),
        _ => error,
    };
    Failure::new(format!("cannot listen on {protocol} {address}: {advice}"))
}

/// An address that a client on this machine can connect to.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

const UDP_PORT: u16 = 4433;
const WEB_PORT: u16 = 8080;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_one_that_can_be_connected_to() {
        let of = |address: &str| url(&[address.parse().unwrap()]);
        assert_eq!(of("127.0.0.1:4433"), "https://127.0.0.1:4433");
        assert_eq!(of("0.0.0.0:5"), "https://127.0.0.1:5");
        assert_eq!(of("[::]:5"), "https://[::1]:5");
    }

    #[test]
    fn a_taken_port_is_named_with_advice() {
        let (address, source) = ("127.0.0.1:4433".parse().unwrap(), io::ErrorKind::AddrInUse.into());
        let sentence = no_server(&ServeError::Bind { address, source }).to_string();
        assert!(sentence.contains("127.0.0.1:4433") && sentence.contains("--listen 127.0.0.1:0"), "{sentence}");
    }

    #[test]
    fn what_is_asked_for_is_served_on() {
        let wanted = vec!["127.0.0.1:5".parse().unwrap()];
        assert_eq!(udp(wanted.clone()), wanted);
        assert_eq!(udp(Vec::new())[0], "127.0.0.1:4433".parse().unwrap());
    }

    #[tokio::test]
    async fn the_page_is_on_localhost_under_three_names() {
        let web = web(Some("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let port = web[0].local_addr().unwrap().port();
        assert_eq!(web_url(&web), format!("http://localhost:{port}"));
        let names = ["localhost", "127.0.0.1", "[::1]"];
        assert_eq!(page_origins(&web), names.map(|name| format!("http://{name}:{port}")));
        let sentence = listen_tcp(web[0].local_addr().unwrap()).await.unwrap_err().to_string();
        assert!(sentence.contains("--web"), "{sentence}");
    }
}
