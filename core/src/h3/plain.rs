//! Answers with a body to requests that ask for no session (RFC 9114, section 4.1).

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};

use super::connect::Phase;
use super::{Action, Http3, Stream, message};
use crate::wire::frame;
use crate::{HttpRequest, Response, StreamId};

impl Http3 {
    /// A plain request for the application to answer.
    pub(super) fn plain(&mut self, stream: StreamId, request: Box<HttpRequest>) {
        if let Some(Stream::Request(plain)) = self.streams.get_mut(&stream) {
            plain.phase = Phase::Discarding;
            plain.unanswered = true;
        }
        self.actions.push_back(Action::Plain { stream, request });
    }

    /// Answers a plain request; the rest of the request is read, checked and thrown away.
    pub(crate) fn respond(&mut self, stream: StreamId, method: &Method, response: &Response, body: Bytes) {
        // RFC 9110, sections 8.6, 9.3.2 and 15.4.5: these have no content, and the first has no length either.
        let length = (response.status != StatusCode::NO_CONTENT).then_some(body.len());
        let bytes = message::encode_http_response(response, length);
        self.actions.push_back(Action::Send { stream, bytes });
        let empty = method == Method::HEAD
            || matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || body.is_empty();
        if !empty {
            let mut header = BytesMut::with_capacity(9);
            frame::encode_header(frame::kind::DATA, body.len() as u64, &mut header);
            self.actions.push_back(Action::Send { stream, bytes: header.freeze() });
            self.actions.push_back(Action::Send { stream, bytes: body });
        }
        self.answered(stream);
    }

    /// A whole answer was sent.
    pub(super) fn answered(&mut self, stream: StreamId) {
        self.actions.push_back(Action::Finish { stream });
        if let Some(Stream::Request(request)) = self.streams.get_mut(&stream) {
            request.unanswered = false;
            if request.phase == Phase::Waiting {
                request.phase = Phase::Discarding;
            }
        }
        self.actions.push_back(Action::Answered { stream });
    }
}

#[cfg(test)]
mod tests {

    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::wire::qpack;
    use crate::{Config, Role};

    /// The fields and the body that answer `method`.
    fn answer(method: &Method, response: &Response, body: &'static [u8]) -> (Vec<(String, String)>, Vec<u8>) {
        let mut h3 = Http3::for_tests(Role::Server, Config::default());
        h3.respond(StreamId(0), method, response, Bytes::from_static(body));
        let mut bytes = BytesMut::new();
        while let Some(action) = h3.poll_action() {
            if let Action::Send { bytes: more, .. } = action {
                bytes.extend_from_slice(&more);
            }
        }
        let mut bytes = bytes.freeze();
        let mut frames = frame::FrameDecoder::default();
        let (mut kind, mut fields, mut content) = (None, Vec::new(), Vec::new());
        while let Some(piece) = frames.push(&mut bytes) {
            match piece {
                frame::Piece::Header { kind: of, .. } => kind = Some(of),
                frame::Piece::Payload(part) if kind == Some(frame::kind::HEADERS) => {
                    let limits = qpack::Limits { max_size: 4096, max_fields: 100 };
                    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).expect("our own text");
                    let decoded = qpack::decode(&part, limits).expect("our own block");
                    fields = decoded.iter().map(|field| (text(&field.name), text(&field.value))).collect();
                }
                frame::Piece::Payload(part) => content.extend_from_slice(&part),
                frame::Piece::End { .. } => {}
            }
        }
        assert!(frames.is_at_boundary());
        (fields, content)
    }

    fn length(fields: &[(String, String)]) -> Vec<&str> {
        fields.iter().filter(|(name, _)| name == "content-length").map(|(_, value)| value.as_str()).collect()
    }

    #[test]
    fn the_length_is_ours_and_the_type_the_application_s() {
        let header = |response: Response, name: &'static str, value: &'static str| {
            response.header(HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut response = Response::new(StatusCode::OK);
        for (name, value) in [("content-length", "7"), ("content-type", "text/plain"), ("connection", "close")] {
            response = header(response, name, value);
        }
        let (fields, content) = answer(&Method::GET, &response, b"ok\n");
        assert_eq!(content, b"ok\n");
        assert_eq!(length(&fields), ["3"]);
        assert!(fields.contains(&("content-type".into(), "text/plain".into())));
        assert!(!fields.iter().any(|(name, _)| name == "connection"));
    }

    #[test]
    fn some_answers_have_no_content() {
        let ok = Response::new(StatusCode::OK);
        let (fields, content) = answer(&Method::HEAD, &ok, b"ok\n");
        assert_eq!((length(&fields), content.len()), (vec!["3"], 0));
        let (fields, content) = answer(&Method::GET, &Response::new(StatusCode::NO_CONTENT), b"no");
        assert_eq!((length(&fields), content.len()), (vec![], 0));
        let (_, content) = answer(&Method::GET, &Response::new(StatusCode::NOT_MODIFIED), b"no");
        assert_eq!(content.len(), 0);
        let (fields, content) = answer(&Method::GET, &ok, b"");
        assert_eq!((length(&fields), content.len()), (vec!["0"], 0));
    }
}
