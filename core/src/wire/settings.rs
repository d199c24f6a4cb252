//! The payload of the SETTINGS frame (RFC 9114, section 7.2.4).

use std::collections::BTreeSet;

use bytes::BufMut;

use super::varint;

/// Identifiers of the settings this stack knows.
pub mod id {
    /// SETTINGS_QPACK_MAX_TABLE_CAPACITY (RFC 9204, section 5).
    pub const QPACK_MAX_TABLE_CAPACITY: u64 = 0x1;
    /// SETTINGS_MAX_FIELD_SECTION_SIZE (RFC 9114, section 7.2.4.1).
    pub const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
    /// SETTINGS_QPACK_BLOCKED_STREAMS (RFC 9204, section 5).
    pub const QPACK_BLOCKED_STREAMS: u64 = 0x7;
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 9220, section 3).
    pub const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;
    /// SETTINGS_H3_DATAGRAM (RFC 9297, section 2.1.1).
    pub const H3_DATAGRAM: u64 = 0x33;
    /// H3_DATAGRAM as of draft-ietf-masque-h3-datagram-04, still sent by older peers.
    pub const H3_DATAGRAM_DRAFT04: u64 = 0xff_d277;
    /// ENABLE_WEBTRANSPORT as of draft-ietf-webtrans-http3-02.
    pub const ENABLE_WEBTRANSPORT_DRAFT02: u64 = 0x2b60_3742;
    /// WEBTRANSPORT_MAX_SESSIONS as of draft-ietf-webtrans-http3-07.
    pub const WEBTRANSPORT_MAX_SESSIONS_DRAFT07: u64 = 0xc671_706a;
    /// WT_MAX_SESSIONS as of draft-ietf-webtrans-http3-13.
    pub const WT_MAX_SESSIONS_DRAFT13: u64 = 0x14e9_cd29;
    /// WT_ENABLED as of draft-ietf-webtrans-http3-15.
    pub const WT_ENABLED_DRAFT15: u64 = 0x2c7c_f000;
    /// WT_INITIAL_MAX_DATA (draft-ietf-webtrans-http3-16, sections 5.5 and 9.2).
    pub const WT_INITIAL_MAX_DATA: u64 = 0x2b61;
    /// WT_INITIAL_MAX_STREAMS_UNI (draft-ietf-webtrans-http3-16, sections 5.5 and 9.2).
    pub const WT_INITIAL_MAX_STREAMS_UNI: u64 = 0x2b64;
    /// WT_INITIAL_MAX_STREAMS_BIDI (draft-ietf-webtrans-http3-16, sections 5.5 and 9.2).
    pub const WT_INITIAL_MAX_STREAMS_BIDI: u64 = 0x2b65;
}

/// Largest number of streams a peer can ever open, for which stream IDs exist (RFC 9000, section 4.6).
pub const MAX_STREAMS: u64 = 1 << 60;

/// The settings of one endpoint; the default is what an empty SETTINGS frame means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own on the wire")]
pub struct Settings {
    /// Capacity in bytes the sender allows for the dynamic table it decodes with (RFC 9204, section 5).
    pub qpack_max_table_capacity: u64,
    /// Largest field section the sender accepts, or `None` for no limit (RFC 9114, section 7.2.4.1).
    pub max_field_section_size: Option<u64>,
    /// Number of streams the sender lets wait for table entries (RFC 9204, section 5).
    pub qpack_blocked_streams: u64,
    /// Whether extended CONNECT may be used (RFC 9220, section 3).
    pub enable_connect_protocol: bool,
    /// Whether the sender takes HTTP datagrams (RFC 9297, section 2.1.1).
    pub h3_datagram: bool,
    /// Whether the sender takes HTTP datagrams, in the words of draft-ietf-masque-h3-datagram-04.
    pub h3_datagram_draft04: bool,
    /// Whether the sender speaks WebTransport as of draft-ietf-webtrans-http3-02.
    pub enable_webtransport_draft02: bool,
    /// Number of sessions the sender takes, as of draft-ietf-webtrans-http3-07; 0 when it does not speak it.
    pub max_sessions_draft07: u64,
    /// Number of sessions the sender takes, as of draft-ietf-webtrans-http3-13; 0 when it does not speak it.
    pub max_sessions_draft13: u64,
    /// Whether the sender speaks WebTransport as of draft-ietf-webtrans-http3-15 and later.
    pub wt_enabled_draft15: bool,
    /// Bytes a new session may carry before the first WT_MAX_DATA (draft-ietf-webtrans-http3-16, section 5.5).
    pub initial_max_data: u64,
    /// Unidirectional streams a new session may have at first, at most [`MAX_STREAMS`] (same section).
    pub initial_max_streams_uni: u64,
    /// Bidirectional streams a new session may have at first, at most [`MAX_STREAMS`] (same section).
    pub initial_max_streams_bidi: u64,
}

/// Why a SETTINGS payload is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The payload ends inside an identifier or a value (RFC 9114, section 7.1).
    #[error("the settings payload ends inside a setting")]
    Truncated,
    /// An identifier, known or not, occurs twice (RFC 9114, section 7.2.4).
    #[error("setting {0:#x} occurs twice")]
    Duplicate(u64),
    /// An identifier is reserved because HTTP/2 uses it (RFC 9114, section 7.2.4.1).
    #[error("setting {0:#x} belongs to HTTP/2")]
    Http2(u64),
    /// A setting that is only 0 or 1 has another value (RFC 9220, section 3; RFC 9297, section 2.1.1;
    /// draft-ietf-webtrans-http3-16, section 3.1).
    #[error("setting {id:#x} has the invalid value {value}")]
    InvalidValue {
        /// The identifier.
        id: u64,
        /// What the peer sent.
        value: u64,
    },
}

impl Settings {
    /// Writes the payload of a SETTINGS frame: what differs from the default, in ascending order of identifiers.
    ///
    /// Values above [`varint::MAX`] are a mistake of the caller; see [`varint::encode`]. Stream numbers above
    /// [`MAX_STREAMS`] are written as [`MAX_STREAMS`].
    pub fn encode(&self, out: &mut impl BufMut) {
        let ascending = [
            (id::QPACK_MAX_TABLE_CAPACITY, non_zero(self.qpack_max_table_capacity)),
            (id::MAX_FIELD_SECTION_SIZE, self.max_field_section_size),
            (id::QPACK_BLOCKED_STREAMS, non_zero(self.qpack_blocked_streams)),
            (id::ENABLE_CONNECT_PROTOCOL, non_zero(self.enable_connect_protocol.into())),
            (id::H3_DATAGRAM, non_zero(self.h3_datagram.into())),
            (id::WT_INITIAL_MAX_DATA, non_zero(self.initial_max_data)),
            (id::WT_INITIAL_MAX_STREAMS_UNI, non_zero(self.initial_max_streams_uni.min(MAX_STREAMS))),
            (id::WT_INITIAL_MAX_STREAMS_BIDI, non_zero(self.initial_max_streams_bidi.min(MAX_STREAMS))),
            (id::H3_DATAGRAM_DRAFT04, non_zero(self.h3_datagram_draft04.into())),
            (id::WT_MAX_SESSIONS_DRAFT13, non_zero(self.max_sessions_draft13)),
            (id::ENABLE_WEBTRANSPORT_DRAFT02, non_zero(self.enable_webtransport_draft02.into())),
            (id::WT_ENABLED_DRAFT15, non_zero(self.wt_enabled_draft15.into())),
            (id::WEBTRANSPORT_MAX_SESSIONS_DRAFT07, non_zero(self.max_sessions_draft07)),
        ];
        for (id, value) in ascending {
            if let Some(value) = value {
                varint::encode(id, out);
                varint::encode(value, out);
            }
        }
    }

    /// Reads the whole payload of a SETTINGS frame (RFC 9114, section 7.2.4).
    ///
    /// Unknown identifiers are ignored, apart from counting as duplicates. The caller bounds the payload; memory and
    /// time grow with the settings that are really in it, and not faster than n log n.
    ///
    /// # Errors
    ///
    /// See [`SettingsError`]; the first offence in the order of the payload is reported.
    pub fn decode(mut payload: &[u8]) -> Result<Settings, SettingsError> {
        let mut settings = Settings::default();
        let mut seen = BTreeSet::new();
        while !payload.is_empty() {
            let id = take(&mut payload)?;
            let value = take(&mut payload)?;
            if matches!(id, 0x0 | 0x2..=0x5) {
                return Err(SettingsError::Http2(id));
            }
            if !seen.insert(id) {
                return Err(SettingsError::Duplicate(id));
            }
            settings.apply(id, value)?;
        }
        Ok(settings)
    }

    fn apply(&mut self, id: u64, value: u64) -> Result<(), SettingsError> {
        match id {
            id::QPACK_MAX_TABLE_CAPACITY => self.qpack_max_table_capacity = value,
            id::MAX_FIELD_SECTION_SIZE => self.max_field_section_size = Some(value),
            id::QPACK_BLOCKED_STREAMS => self.qpack_blocked_streams = value,
            id::ENABLE_CONNECT_PROTOCOL => self.enable_connect_protocol = flag(id, value)?,
            id::H3_DATAGRAM => self.h3_datagram = flag(id, value)?,
            id::H3_DATAGRAM_DRAFT04 => self.h3_datagram_draft04 = value != 0,
            id::ENABLE_WEBTRANSPORT_DRAFT02 => self.enable_webtransport_draft02 = value != 0,
            id::WEBTRANSPORT_MAX_SESSIONS_DRAFT07 => self.max_sessions_draft07 = value,
            id::WT_MAX_SESSIONS_DRAFT13 => self.max_sessions_draft13 = value,
            id::WT_ENABLED_DRAFT15 => self.wt_enabled_draft15 = flag(id, value)?,
            id::WT_INITIAL_MAX_DATA => self.initial_max_data = value,
            id::WT_INITIAL_MAX_STREAMS_UNI => self.initial_max_streams_uni = value.min(MAX_STREAMS),
            id::WT_INITIAL_MAX_STREAMS_BIDI => self.initial_max_streams_bidi = value.min(MAX_STREAMS),
            _ => {}
        }
        Ok(())
    }
}

fn non_zero(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

fn flag(id: u64, value: u64) -> Result<bool, SettingsError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(SettingsError::InvalidValue { id, value }),
    }
}

fn take(payload: &mut &[u8]) -> Result<u64, SettingsError> {
    let (value, used) = varint::decode(payload).ok_or(SettingsError::Truncated)?;
    *payload = payload.get(used..).unwrap_or_default();
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(pairs: &[(u64, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for &(id, value) in pairs {
            varint::encode(id, &mut out);
            varint::encode(value, &mut out);
        }
        out
    }

    fn encoded(settings: &Settings) -> Vec<u8> {
        let mut out = Vec::new();
        settings.encode(&mut out);
        out
    }

    fn settings() -> impl Strategy<Value = Settings> {
        let flags = proptest::array::uniform5(any::<bool>());
        let numbers = proptest::array::uniform5(0..=varint::MAX);
        (flags, numbers, proptest::option::of(0..=varint::MAX), 0..=MAX_STREAMS, 0..=MAX_STREAMS).prop_map(
            |(flags, numbers, max_field_section_size, uni, bidi)| Settings {
                qpack_max_table_capacity: numbers[0],
                max_field_section_size,
                qpack_blocked_streams: numbers[1],
                enable_connect_protocol: flags[0],
                h3_datagram: flags[1],
                h3_datagram_draft04: flags[2],
                enable_webtransport_draft02: flags[3],
                max_sessions_draft07: numbers[2],
                max_sessions_draft13: numbers[3],
                wt_enabled_draft15: flags[4],
                initial_max_data: numbers[4],
                initial_max_streams_uni: uni,
                initial_max_streams_bidi: bidi,
            },
        )
    }

    #[test]
    fn defaults_are_empty() {
        assert_eq!(encoded(&Settings::default()), [0_u8; 0]);
        assert_eq!(Settings::decode(&[]), Ok(Settings::default()));
        let zero = Settings { max_field_section_size: Some(0), ..Settings::default() };
        assert_eq!(encoded(&zero), [0x06, 0x00]);
    }

    #[test]
    fn every_identifier_reaches_its_field() {
        let ids = [0x1, 0x6, 0x7, 0x8, 0x33, 0x2b61, 0x2b64, 0x2b65, 0xff_d277, 0x14e9_cd29, 0x2b60_3742, 0x2c7c_f000];
        let mut pairs: Vec<(u64, u64)> = ids.into_iter().map(|id| (id, 1)).collect();
        pairs.push((0xc671_706a, 1));
        let expected = Settings {
            qpack_max_table_capacity: 1,
            max_field_section_size: Some(1),
            qpack_blocked_streams: 1,
            enable_connect_protocol: true,
            h3_datagram: true,
            h3_datagram_draft04: true,
            enable_webtransport_draft02: true,
            max_sessions_draft07: 1,
            max_sessions_draft13: 1,
            wt_enabled_draft15: true,
            initial_max_data: 1,
            initial_max_streams_uni: 1,
            initial_max_streams_bidi: 1,
        };
        assert_eq!(encoded(&expected), payload(&pairs));
        assert_eq!(Settings::decode(&payload(&pairs)), Ok(expected));
        for pair in pairs {
            assert_eq!(Settings::decode(&payload(&[pair])).map(|settings| encoded(&settings)), Ok(payload(&[pair])));
        }
    }

    #[test]
    fn reserved_duplicate_and_invalid_settings_are_refused() {
        for id in [0x0, 0x2, 0x3, 0x4, 0x5] {
            assert_eq!(Settings::decode(&payload(&[(id, 0)])), Err(SettingsError::Http2(id)));
        }
        for id in [0x1, 0x33, 0x21, 0x40, varint::MAX] {
            assert_eq!(Settings::decode(&payload(&[(id, 1), (0x9, 0), (id, 1)])), Err(SettingsError::Duplicate(id)));
        }
        for id in [0x8, 0x33, 0x2c7c_f000] {
            for value in [2, varint::MAX] {
                let error = SettingsError::InvalidValue { id, value };
                assert_eq!(Settings::decode(&payload(&[(id, value)])), Err(error));
            }
        }
    }

    #[test]
    fn lenient_flags_and_clamped_streams() {
        let pairs = [(0xff_d277, 7), (0x2b60_3742, varint::MAX), (0x2b64, MAX_STREAMS + 1), (0x2b65, varint::MAX)];
        let expected = Settings {
            h3_datagram_draft04: true,
            enable_webtransport_draft02: true,
            initial_max_streams_uni: MAX_STREAMS,
            initial_max_streams_bidi: MAX_STREAMS,
            ..Settings::default()
        };
        assert_eq!(Settings::decode(&payload(&pairs)), Ok(expected));
        let off = payload(&[(0xff_d277, 0), (0x2b60_3742, 0), (0x8, 0), (0x33, 0), (0x2c7c_f000, 0)]);
        assert_eq!(Settings::decode(&off), Ok(Settings::default()));
    }

    #[test]
    fn thousands_of_unknown_settings_are_read() {
        let mut pairs: Vec<(u64, u64)> = (0x100..0x900).rev().map(|id| (id, 0)).collect();
        assert_eq!(Settings::decode(&payload(&pairs)), Ok(Settings::default()));
        pairs.push((0x8ff, 0));
        assert_eq!(Settings::decode(&payload(&pairs)), Err(SettingsError::Duplicate(0x8ff)));
    }

    proptest! {
        #[test]
        fn round_trip(settings in settings(), unknown in 0x1_0000_0000_u64..=varint::MAX) {
            let mut bytes = encoded(&settings);
            prop_assert_eq!(Settings::decode(&bytes), Ok(settings.clone()));
            bytes.extend(payload(&[(unknown, 3)]));
            prop_assert_eq!(Settings::decode(&bytes), Ok(settings));
        }

        #[test]
        fn a_cut_inside_a_setting_is_an_error(settings in settings()) {
            let bytes = encoded(&settings);
            let mut ends = vec![0];
            let mut rest = bytes.as_slice();
            while take(&mut rest).is_ok() {
                prop_assert!(take(&mut rest).is_ok());
                ends.push(bytes.len() - rest.len());
            }
            for cut in 0..=bytes.len() {
                let result = Settings::decode(&bytes[..cut]);
                prop_assert_eq!(result.is_ok(), ends.contains(&cut));
                prop_assert!(matches!(result, Ok(_) | Err(SettingsError::Truncated)));
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            if let Ok(settings) = Settings::decode(&bytes) {
                prop_assert_eq!(Settings::decode(&encoded(&settings)), Ok(settings));
            }
        }
    }
}
