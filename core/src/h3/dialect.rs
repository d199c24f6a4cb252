//! The drafts: what each side announces, what a CONNECT says, and what follows from both. Nothing else knows them.

use crate::wire::settings::Settings;
use crate::{Config, Dialect, Role};

/// What the QUIC layer below can keep; what is advertised follows from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transport {
    /// RESET_STREAM_AT, which drafts 13 and 14 need so much that advertising them without it loses Safari.
    pub(crate) reset_stream_at: bool,
}

/// The upgrade token of drafts 15 and newer.
const TOKEN: &str = "webtransport-h3";
/// The upgrade token of all drafts before.
const TOKEN_UNTIL_14: &str = "webtransport";
/// Request header by which draft-02 clients ask for that draft.
const DRAFT02_REQUEST: &str = "sec-webtransport-http3-draft02";
/// Response header by which a server confirms it.
const DRAFT02_RESPONSE: &str = "sec-webtransport-http3-draft";

/// The SETTINGS we send.
///
/// A server offers every dialect at once: each browser picks its own. The settings of drafts 13 and 14 are left out
/// unless RESET_STREAM_AT is there: Safari takes that path when it sees them and fails, while it accepts draft 07.
/// The limits of session flow control hold for the dialects that have it, see [`flow_control`].
pub(crate) fn settings(role: Role, transport: Transport, config: &Config) -> Settings {
    Settings {
        max_field_section_size: Some(config.max_field_section_size as u64),
        // A promise only a server can keep, RFC 9220, section 3.
        enable_connect_protocol: role == Role::Server,
        h3_datagram: true,
        h3_datagram_draft04: true,
        enable_webtransport_draft02: true,
        max_sessions_draft07: config.max_sessions_without_flow_control.max(1) as u64,
        max_sessions_draft13: if transport.reset_stream_at { config.max_sessions.max(1) as u64 } else { 0 },
        wt_enabled_draft15: true,
        initial_max_data: config.session_window.into(),
        initial_max_streams_bidi: config.session_bidi_streams.into(),
        initial_max_streams_uni: config.session_uni_streams.into(),
        ..Settings::default()
    }
}

/// The newest dialect both sides announced.
pub(crate) fn negotiated(ours: &Settings, peer: &Settings) -> Option<Dialect> {
    if peer.wt_enabled_draft15 {
        Some(Dialect::Draft15)
    } else if peer.max_sessions_draft13 > 0 && ours.max_sessions_draft13 > 0 {
        Some(Dialect::Draft13)
    } else if peer.max_sessions_draft07 > 0 || peer.max_sessions_draft13 > 0 {
        Some(Dialect::Draft07)
    } else if peer.enable_webtransport_draft02 {
        Some(Dialect::Draft02)
    } else {
        None
    }
}

/// Why a CONNECT with this token cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// 501: the token means nothing here, or its draft was not announced by the client.
    NotImplemented,
    /// The client's SETTINGS lack what its draft requires: the request is malformed.
    Malformed,
}

/// The dialect of one CONNECT, from its token and what the client announced.
pub(crate) fn of_request(
    token: &str,
    ours: &Settings,
    peer: &Settings,
    peer_takes_datagrams: bool,
) -> Result<Dialect, Unserved> {
    let dialect = match token {
        TOKEN if peer.wt_enabled_draft15 => Dialect::Draft15,
        TOKEN_UNTIL_14 if peer.max_sessions_draft13 > 0 && ours.max_sessions_draft13 > 0 => Dialect::Draft13,
        // Safari announces draft 13 and takes draft 07 from a server that offers no more.
        TOKEN_UNTIL_14 if peer.max_sessions_draft07 > 0 || peer.max_sessions_draft13 > 0 => Dialect::Draft07,
        TOKEN_UNTIL_14 if peer.enable_webtransport_draft02 => Dialect::Draft02,
        _ => return Err(Unserved::NotImplemented),
    };
    // draft-16, section 3.1: settings and transport parameters together. Draft 02 knew the older datagram setting.
    let datagram_setting = peer.h3_datagram || (dialect == Dialect::Draft02 && peer.h3_datagram_draft04);
    if datagram_setting && peer_takes_datagrams { Ok(dialect) } else { Err(Unserved::Malformed) }
}

/// Which dialect a client's CONNECT uses with this server; `None` when the server cannot serve WebTransport.
pub(crate) fn for_request(ours: &Settings, peer: &Settings, peer_takes_datagrams: bool) -> Option<Dialect> {
    let dialect = negotiated(ours, peer)?;
    let datagram_setting = peer.h3_datagram || peer.h3_datagram_draft04;
    // Servers of draft 02 did not have to say that they take extended CONNECT.
    let connect = peer.enable_connect_protocol || dialect == Dialect::Draft02;
    (datagram_setting && connect && peer_takes_datagrams).then_some(dialect)
}

/// The upgrade token of a dialect.
pub(crate) fn token(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Draft02 | Dialect::Draft07 | Dialect::Draft13 => TOKEN_UNTIL_14,
        Dialect::Draft15 => TOKEN,
    }
}

/// A header that a request of this dialect carries.
pub(crate) fn request_header(dialect: Dialect) -> Option<(&'static str, &'static str)> {
    (dialect == Dialect::Draft02).then_some((DRAFT02_REQUEST, "1"))
}

/// A header that the answer carries when the request asked for draft 02 by name.
pub(crate) fn response_header(headers: &http::HeaderMap) -> Option<(&'static str, &'static str)> {
    headers.contains_key(DRAFT02_REQUEST).then_some((DRAFT02_RESPONSE, "draft02"))
}

/// What limits that both sides announced come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlowControl {
    /// They are kept, and raised (draft-16, section 5.1).
    On,
    /// Nobody has to keep them. We raise ours all the same: a peer may keep them by itself, and would stand still. Draft 12 has
    /// flow control and is announced like draft 7, which has none; Safari knows draft 13 and takes draft 7 from us.
    Courtesy,
}

/// What is made of session flow control in this dialect; `None` unless both sides announced a limit.
pub(crate) fn flow_control(dialect: Dialect, ours: &Settings, peer: &Settings) -> Option<FlowControl> {
    let wants = |settings: &Settings| {
        settings.initial_max_data > 0 || settings.initial_max_streams_bidi > 0 || settings.initial_max_streams_uni > 0
    };
    let both = wants(ours) && wants(peer);
    match dialect {
        Dialect::Draft02 => None,
        Dialect::Draft07 => both.then_some(FlowControl::Courtesy),
        Dialect::Draft13 | Dialect::Draft15 => both.then_some(FlowControl::On),
    }
}

/// How many sessions a client of this dialect may have at once.
pub(crate) fn max_sessions(dialect: Dialect, ours: &Settings, peer: &Settings, config: &Config) -> usize {
    if flow_control(dialect, ours, peer) == Some(FlowControl::On) {
        return config.max_sessions;
    }
    match dialect {
        Dialect::Draft02 | Dialect::Draft07 => config.max_sessions_without_flow_control,
        // Section 5.1: more than one needs session flow control.
        Dialect::Draft13 | Dialect::Draft15 => config.max_sessions_without_flow_control.min(1),
    }
}

/// How many sessions a client may have at once with this server.
pub(crate) fn max_sessions_as_client(ours: &Settings, peer: &Settings, config: &Config) -> usize {
    let Some(dialect) = negotiated(ours, peer) else { return 1 };
    let announced = |sessions: u64| usize::try_from(sessions.max(1)).unwrap_or(usize::MAX);
    match dialect {
        Dialect::Draft07 => announced(peer.max_sessions_draft07),
        // Draft 02 has no way to say; the server refuses what is too much.
        Dialect::Draft02 => usize::MAX,
        Dialect::Draft13 if flow_control(dialect, ours, peer).is_some() => announced(peer.max_sessions_draft13),
        Dialect::Draft15 if flow_control(dialect, ours, peer).is_some() => config.max_sessions.max(1),
        Dialect::Draft13 | Dialect::Draft15 => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings { h3_datagram: true, ..Settings::default() };
        change(&mut settings);
        settings
    }

    fn ours() -> Settings {
        settings(Role::Server, Transport { reset_stream_at: false }, &Config::default())
    }

    #[test]
    fn what_we_announce_is_what_is_configured() {
        let config = Config {
            max_field_section_size: 1,
            max_sessions_without_flow_control: 2,
            max_sessions: 3,
            session_window: 4,
            session_bidi_streams: 5,
            session_uni_streams: 6,
            ..Config::default()
        };
        for role in [Role::Server, Role::Client] {
            let announced = Settings {
                qpack_max_table_capacity: 0,
                max_field_section_size: Some(1),
                qpack_blocked_streams: 0,
                enable_connect_protocol: role == Role::Server,
                h3_datagram: true,
                h3_datagram_draft04: true,
                enable_webtransport_draft02: true,
                max_sessions_draft07: 2,
                max_sessions_draft13: 3,
                wt_enabled_draft15: true,
                initial_max_data: 4,
                initial_max_streams_bidi: 5,
                initial_max_streams_uni: 6,
            };
            assert_eq!(settings(role, Transport { reset_stream_at: true }, &config), announced);
        }
    }

    #[test]
    fn drafts_13_and_14_are_offered_only_with_reset_stream_at() {
        let config = Config::default();
        let without = settings(Role::Server, Transport { reset_stream_at: false }, &config);
        assert_eq!(without.max_sessions_draft13, 0);
        assert!(without.enable_webtransport_draft02 && without.wt_enabled_draft15 && without.max_sessions_draft07 == 1);
        let with = settings(Role::Server, Transport { reset_stream_at: true }, &config);
        assert_eq!(with.max_sessions_draft13, 16);
        let safari = offer(|s| s.max_sessions_draft13 = 1);
        assert_eq!(of_request("webtransport", &with, &safari, true), Ok(Dialect::Draft13));
        assert_eq!(of_request("webtransport", &without, &safari, true), Ok(Dialect::Draft07));
        assert_eq!(negotiated(&with, &safari), Some(Dialect::Draft13));
    }

    #[test]
    fn flow_control_needs_both_sides_and_a_dialect_that_has_it() {
        let config = Config::default();
        let ours = settings(Role::Server, Transport { reset_stream_at: false }, &config);
        let silent = offer(|s| s.wt_enabled_draft15 = true);
        assert_eq!(flow_control(Dialect::Draft15, &ours, &silent), None);
        assert_eq!(max_sessions(Dialect::Draft15, &ours, &silent, &config), 1);
        assert_eq!(max_sessions_as_client(&ours, &silent, &config), 1);
        for change in [
            |s: &mut Settings| s.initial_max_data = 1,
            |s: &mut Settings| s.initial_max_streams_bidi = 1,
            |s: &mut Settings| s.initial_max_streams_uni = 1,
        ] {
            let peer = offer(|s| {
                s.wt_enabled_draft15 = true;
                change(s);
            });
            assert_eq!(flow_control(Dialect::Draft15, &ours, &peer), Some(FlowControl::On));
            assert_eq!(flow_control(Dialect::Draft15, &silent, &peer), None);
            assert_eq!(flow_control(Dialect::Draft07, &ours, &peer), Some(FlowControl::Courtesy));
            assert_eq!(flow_control(Dialect::Draft02, &ours, &peer), None);
            assert_eq!(max_sessions(Dialect::Draft07, &ours, &peer, &config), 1);
            assert_eq!(max_sessions(Dialect::Draft15, &ours, &peer, &config), 16);
            assert_eq!(max_sessions_as_client(&ours, &peer, &config), 16);
            assert_eq!(max_sessions(Dialect::Draft02, &ours, &peer, &config), 1);
        }
    }

    #[test]
    fn a_client_has_as_many_sessions_as_the_server_says_in_its_dialect() {
        let config = Config { max_sessions: 5, ..Config::default() };
        let ours = settings(Role::Client, Transport { reset_stream_at: true }, &config);
        let limited = |change: fn(&mut Settings)| {
            offer(|s| {
                s.initial_max_data = 1;
                change(s);
            })
        };
        let servers = [
            (limited(|_| ()), 1, "no WebTransport at all"),
            (limited(|s| s.enable_webtransport_draft02 = true), usize::MAX, "a dialect that cannot say"),
            (limited(|s| s.max_sessions_draft07 = 3), 3, "draft 07 has no flow control to ask for"),
            (offer(|s| s.max_sessions_draft07 = 3), 3, "and so none to go without"),
            (limited(|s| s.max_sessions_draft13 = 4), 4, "draft 13 with flow control"),
            (offer(|s| s.max_sessions_draft13 = 4), 1, "draft 13 without"),
            (limited(|s| s.wt_enabled_draft15 = true), 5, "draft 15 does not say: ours"),
            (offer(|s| s.wt_enabled_draft15 = true), 1, "draft 15 without flow control"),
        ];
        for (server, sessions, why) in servers {
            assert_eq!(max_sessions_as_client(&ours, &server, &config), sessions, "{why}");
        }
    }

    #[test]
    fn token_and_settings_decide_together() {
        let draft02 = offer(|s| s.enable_webtransport_draft02 = true);
        let draft15 = offer(|s| s.wt_enabled_draft15 = true);
        let safari = offer(|s| s.max_sessions_draft13 = 1);
        assert_eq!(of_request("webtransport", &ours(), &draft02, true), Ok(Dialect::Draft02));
        assert_eq!(of_request("webtransport", &ours(), &safari, true), Ok(Dialect::Draft07));
        assert_eq!(of_request("webtransport-h3", &ours(), &draft15, true), Ok(Dialect::Draft15));
        assert_eq!(of_request("webtransport", &ours(), &draft15, true), Err(Unserved::NotImplemented));
        assert_eq!(of_request("webtransport-h3", &ours(), &draft02, true), Err(Unserved::NotImplemented));
        assert_eq!(of_request("websocket", &ours(), &draft02, true), Err(Unserved::NotImplemented));
    }

    #[test]
    fn a_client_without_datagrams_is_malformed() {
        let mut peer = offer(|s| s.enable_webtransport_draft02 = true);
        assert_eq!(of_request("webtransport", &ours(), &peer, false), Err(Unserved::Malformed));
        peer.h3_datagram = false;
        assert_eq!(of_request("webtransport", &ours(), &peer, true), Err(Unserved::Malformed));
        peer.h3_datagram_draft04 = true;
        assert_eq!(of_request("webtransport", &ours(), &peer, true), Ok(Dialect::Draft02));
    }
}
