//! Error codes by name, and the mapping of WebTransport application codes.

/// H3_DATAGRAM_ERROR (RFC 9297).
pub const H3_DATAGRAM_ERROR: u64 = 0x33;
/// H3_NO_ERROR (RFC 9114).
pub const H3_NO_ERROR: u64 = 0x100;
/// H3_GENERAL_PROTOCOL_ERROR.
pub const H3_GENERAL_PROTOCOL_ERROR: u64 = 0x101;
/// H3_INTERNAL_ERROR.
pub const H3_INTERNAL_ERROR: u64 = 0x102;
/// H3_STREAM_CREATION_ERROR.
pub const H3_STREAM_CREATION_ERROR: u64 = 0x103;
/// H3_CLOSED_CRITICAL_STREAM.
pub const H3_CLOSED_CRITICAL_STREAM: u64 = 0x104;
/// H3_FRAME_UNEXPECTED.
pub const H3_FRAME_UNEXPECTED: u64 = 0x105;
/// H3_FRAME_ERROR.
pub const H3_FRAME_ERROR: u64 = 0x106;
/// H3_EXCESSIVE_LOAD.
pub const H3_EXCESSIVE_LOAD: u64 = 0x107;
/// H3_ID_ERROR.
pub const H3_ID_ERROR: u64 = 0x108;
/// H3_SETTINGS_ERROR.
pub const H3_SETTINGS_ERROR: u64 = 0x109;
/// H3_MISSING_SETTINGS.
pub const H3_MISSING_SETTINGS: u64 = 0x10a;
/// H3_REQUEST_REJECTED.
pub const H3_REQUEST_REJECTED: u64 = 0x10b;
/// H3_REQUEST_CANCELLED.
pub const H3_REQUEST_CANCELLED: u64 = 0x10c;
/// H3_REQUEST_INCOMPLETE.
pub const H3_REQUEST_INCOMPLETE: u64 = 0x10d;
/// H3_MESSAGE_ERROR.
pub const H3_MESSAGE_ERROR: u64 = 0x10e;
/// QPACK_DECOMPRESSION_FAILED (RFC 9204).
pub const QPACK_DECOMPRESSION_FAILED: u64 = 0x200;
/// QPACK_ENCODER_STREAM_ERROR.
pub const QPACK_ENCODER_STREAM_ERROR: u64 = 0x201;
/// QPACK_DECODER_STREAM_ERROR.
pub const QPACK_DECODER_STREAM_ERROR: u64 = 0x202;
/// WT_FLOW_CONTROL_ERROR (draft-ietf-webtrans-http3).
pub const WT_FLOW_CONTROL_ERROR: u64 = 0x045d_4487;
/// WT_BUFFERED_STREAM_REJECTED.
pub const WT_BUFFERED_STREAM_REJECTED: u64 = 0x3994_bd84;
/// WT_SESSION_GONE.
pub const WT_SESSION_GONE: u64 = 0x170d_7b68;
/// First code of the WT_APPLICATION_ERROR range.
pub const WT_APPLICATION_ERROR_FIRST: u64 = 0x52e4_a40f_a8db;
/// Last code of the WT_APPLICATION_ERROR range.
pub const WT_APPLICATION_ERROR_LAST: u64 = 0x52e5_ac98_3162;

/// The HTTP/3 code that carries a WebTransport application code: every thirty-first point of the range is skipped,
/// because it is reserved in HTTP/3.
pub fn from_application(code: u32) -> u64 {
    let code = u64::from(code);
    WT_APPLICATION_ERROR_FIRST + code + code / 0x1e
}

/// The name of a code, or its hexadecimal form.
pub fn name(code: u64) -> String {
    let known = match code {
        H3_DATAGRAM_ERROR => "H3_DATAGRAM_ERROR",
        H3_NO_ERROR => "H3_NO_ERROR",
        H3_GENERAL_PROTOCOL_ERROR => "H3_GENERAL_PROTOCOL_ERROR",
        H3_INTERNAL_ERROR => "H3_INTERNAL_ERROR",
        H3_STREAM_CREATION_ERROR => "H3_STREAM_CREATION_ERROR",
        H3_CLOSED_CRITICAL_STREAM => "H3_CLOSED_CRITICAL_STREAM",
        H3_FRAME_UNEXPECTED => "H3_FRAME_UNEXPECTED",
        H3_FRAME_ERROR => "H3_FRAME_ERROR",
        H3_EXCESSIVE_LOAD => "H3_EXCESSIVE_LOAD",
        H3_ID_ERROR => "H3_ID_ERROR",
        H3_SETTINGS_ERROR => "H3_SETTINGS_ERROR",
        H3_MISSING_SETTINGS => "H3_MISSING_SETTINGS",
        H3_REQUEST_REJECTED => "H3_REQUEST_REJECTED",
        H3_REQUEST_CANCELLED => "H3_REQUEST_CANCELLED",
        H3_REQUEST_INCOMPLETE => "H3_REQUEST_INCOMPLETE",
        H3_MESSAGE_ERROR => "H3_MESSAGE_ERROR",
        QPACK_DECOMPRESSION_FAILED => "QPACK_DECOMPRESSION_FAILED",
        QPACK_ENCODER_STREAM_ERROR => "QPACK_ENCODER_STREAM_ERROR",
        QPACK_DECODER_STREAM_ERROR => "QPACK_DECODER_STREAM_ERROR",
        WT_FLOW_CONTROL_ERROR => "WT_FLOW_CONTROL_ERROR",
        WT_BUFFERED_STREAM_REJECTED => "WT_BUFFERED_STREAM_REJECTED",
        WT_SESSION_GONE => "WT_SESSION_GONE",
        _ => return format!("{code:#x}"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_codes_skip_the_reserved_points() {
        assert_eq!(from_application(0), WT_APPLICATION_ERROR_FIRST);
        assert_eq!(from_application(29), WT_APPLICATION_ERROR_FIRST + 29);
        assert_eq!(from_application(30), WT_APPLICATION_ERROR_FIRST + 31);
        assert_eq!(from_application(u32::MAX), WT_APPLICATION_ERROR_LAST);
        for code in [0, 29, 30, 59, 60, 255, u32::MAX] {
            assert_ne!((from_application(code) - 0x21) % 0x1f, 0, "code {code} lies on a reserved point");
        }
    }
}
