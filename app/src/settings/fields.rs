//! All settings, in one table.

use super::Settings;
use super::value::{Setting, Unit, Value};

/// One setting.
pub(super) struct Field {
    /// Its name, with the section.
    pub(super) name: &'static str,
    /// What it is; limits say so in `Config`.
    #[cfg(test)]
    pub(super) what: &'static str,
    #[cfg(test)]
    pub(super) unit: Unit,
    /// Takes a value; an error continues the sentence that begins with the name.
    pub(super) set: fn(&mut Settings, &Value) -> Result<(), String>,
    /// How the value would be written.
    #[cfg(test)]
    pub(super) shown: fn(&Settings) -> String,
}

macro_rules! field {
    ($name:expr, $($path:ident).+, $unit:ident, $what:expr) => {
        Field {
            name: $name,
            #[cfg(test)]
            what: $what,
            #[cfg(test)]
            unit: Unit::$unit,
            set: |settings, value| {
                settings.$($path).+ = Setting::read(value, Unit::$unit)?;
                Ok(())
            },
            #[cfg(test)]
            shown: |settings| Setting::shown(&settings.$($path).+, Unit::$unit),
        }
    };
}

macro_rules! limit {
    ($name:ident, $unit:ident) => {
        field!(concat!("limits.", stringify!($name)), limits.$name, $unit, "")
    };
}

/// All settings, in the order of the documentation. What is missing of `Config` is for simulations only.
pub(super) const FIELDS: &[Field] = &[
    field!("listen", listen, Plain, "Addresses to listen on; `[::]` is every address of the machine, IPv4 as well."),
    field!(
        "workers",
        workers,
        Plain,
        "Threads to serve with, each with a socket of its own; 0 is one for each core. Without it the program decides."
    ),
    field!(
        "operations",
        operations,
        Plain,
        "TCP addresses that answer `/healthz`, `/readyz` and `/metrics` without encryption."
    ),
    field!("grace", grace, Plain, "What sessions get to wind down when the server stops."),
    field!("protocols", protocols, Plain, "Subprotocols that the server speaks; none leaves those of the program."),
    field!(
        "origins",
        origins,
        Plain,
        "Origins of pages that may connect, or `*` alone for all; none leaves that to the program, and where it says nothing \
         pages are refused."
    ),
    field!(
        "qlog_dir",
        qlog_dir,
        Plain,
        "Directory for a qlog file of each connection, to look for mistakes; nothing is ever deleted there. The program needs \
         the feature `qlog`."
    ),
    field!("tls.certificate", tls.certificate, Plain, "PEM file of the certificate chain, the server's own first."),
    field!("tls.key", tls.key, Plain, "PEM file of its private key: PKCS#8, PKCS#1 or SEC1."),
    field!("tls.watch", tls.watch, Plain, "How often to look whether these files have changed. Zero never looks."),
    field!(
        "tls.rotating",
        tls.rotating,
        Plain,
        "DNS names and IP addresses to make certificates for that browsers accept by hash; instead of files."
    ),
    field!("tls.directory", tls.directory, Plain, "Where those certificates are kept over a restart."),
    field!(
        "tls.client_authorities",
        tls.client_authorities,
        Plain,
        "PEM file of the authorities of clients' certificates; without it clients are asked for none."
    ),
    field!(
        "tls.client_certificates",
        tls.client_certificates,
        Plain,
        "Whether clients without a certificate are let in: `required` or `optional`."
    ),
    field!(
        "tls.log_keys",
        tls.log_keys,
        Plain,
        "Writes the secrets of connections to the file that `SSLKEYLOGFILE` names."
    ),
    limit!(max_connections, Plain),
    limit!(max_handshakes, Plain),
    limit!(retry_above, Plain),
    limit!(max_sessions, Plain),
    limit!(max_sessions_without_flow_control, Plain),
    limit!(session_window, Bytes),
    limit!(session_bidi_streams, Plain),
    limit!(session_uni_streams, Plain),
    limit!(http_requests, Plain),
    limit!(connect_burst, Plain),
    limit!(connect_rate, Plain),
    limit!(max_bidi_streams, Plain),
    limit!(max_uni_streams, Plain),
    limit!(stream_window, Bytes),
    limit!(connection_window, Bytes),
    limit!(connection_window_before_session, Bytes),
    limit!(max_unread_frames, Plain),
    limit!(send_window, Bytes),
    limit!(datagram_send_queue, Plain),
    limit!(datagram_send_buffer, Bytes),
    limit!(datagram_send_max_age, Plain),
    limit!(datagram_queue, Plain),
    limit!(datagram_queue_bytes, Bytes),
    limit!(datagram_max_age, Plain),
    limit!(connection_datagram_bytes, Bytes),
    limit!(held_streams, Plain),
    limit!(held_datagrams, Plain),
    limit!(hold_timeout, Plain),
    limit!(max_field_section_size, Bytes),
    limit!(max_fields, Plain),
    limit!(max_settings_size, Bytes),
    limit!(handshake_timeout, Plain),
    limit!(settings_timeout, Plain),
    limit!(request_timeout, Plain),
    limit!(accept_timeout, Plain),
    limit!(response_timeout, Plain),
    limit!(close_flush_timeout, Plain),
    limit!(close_linger_timeout, Plain),
    limit!(idle_timeout, Plain),
    limit!(keep_alive_interval, Plain),
    limit!(glitch_burst, Plain),
    limit!(glitch_refill, Plain),
    limit!(initial_mtu, Plain),
    limit!(max_mtu, Plain),
];
