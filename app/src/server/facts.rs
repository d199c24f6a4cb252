//! Arguments of handlers that are facts about the request.

use std::any::{TypeId, type_name};
use std::net::SocketAddr;

use http::{HeaderMap, StatusCode};
use transom_core::Request;
use transom_core::middleware::Rejection;
use transom_core::router::Params;

use super::extract::FromRequest;
use super::parts::Parts;

/// The client's address; IPv4 addresses stand in their own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// The page that asks, as the browser wrote it; nothing from clients that send no `Origin`. A field that is no text, or
/// stands twice, is refused with 400.
///
/// Whether it may come in is for [`AllowOrigins`](crate::AllowOrigins) to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(pub Option<String>);

/// The subprotocol that was chosen from those the client offers, see [`ServerApp::protocols`](crate::ServerApp::protocols).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subprotocol(pub Option<String>);

/// Who the client is: what the function given to [`ServerApp::authenticate`](crate::ServerApp::authenticate) returned.
///
/// A server does not start where no authentication with that type stands before any path of the route; where one stands
/// before some of its paths only, requests for the others are refused with 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<T>(pub T);

impl<S> FromRequest<S> for HeaderMap {
    fn from_request(request: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
        Ok(request.headers().clone())
    }
}

impl<S> FromRequest<S> for PeerAddress {
    fn from_request(request: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
        let address = request.remote_address();
        Ok(Self(SocketAddr::new(address.ip().to_canonical(), address.port())))
    }
}

impl<S> FromRequest<S> for Origin {
    fn from_request(request: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
        let mut fields = request.headers().get_all(http::header::ORIGIN).iter();
        let Some(field) = fields.next() else { return Ok(Self(None)) };
        let text = field.to_str().ok().filter(|_| fields.next().is_none());
        text.map(|text| Self(Some(text.to_owned()))).ok_or(Rejection::new(StatusCode::BAD_REQUEST))
    }
}

impl<S> FromRequest<S> for Subprotocol {
    fn from_request(_: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
        Ok(Self(None))
    }

    fn from_parts(parts: &Parts<'_>, _: &S) -> Result<Self, Rejection> {
        Ok(Self(parts.protocol().map(str::to_owned)))
    }
}

/// A type of identity that an argument of a handler needs, see [`FromRequest::identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityType {
    pub(super) id: TypeId,
    pub(super) name: &'static str,
}

impl IdentityType {
    /// This type.
    pub fn of<T: 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}

impl<S, T: Clone + Send + Sync + 'static> FromRequest<S> for Identity<T> {
    fn identity() -> Option<IdentityType> {
        Some(IdentityType::of::<T>())
    }

    fn from_request(_: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
        Err(Rejection::new(StatusCode::INTERNAL_SERVER_ERROR))
    }

    fn from_parts(parts: &Parts<'_>, _: &S) -> Result<Self, Rejection> {
        let identity = parts.identity::<T>().cloned().map(Self);
        identity.ok_or_else(|| {
            let (route, wanted) = (parts.route(), type_name::<T>());
            tracing::error!(
                route,
                wanted,
                "the handler asks for an identity that no authentication gives for this path: add \
                 ServerApp::authenticate with a pattern that has it"
            );
            Rejection::new(StatusCode::INTERNAL_SERVER_ERROR).because("nobody authenticated it")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderName, HeaderValue, header};

    use super::*;

    fn take<T: FromRequest<()>>(request: &Request, protocol: Option<&str>) -> Result<T, u16> {
        let identities: [Arc<dyn std::any::Any + Send + Sync>; 3] = [Arc::new(1_u8), Arc::new(2_u8), Arc::new("me")];
        let params = Params::default();
        let parts = Parts { request, params: &params, route: "/x", protocol, identities: &identities };
        T::from_parts(&parts, &()).map_err(|rejection| rejection.status.as_u16())
    }

    #[test]
    fn facts_of_a_request() {
        let request = Request::new("h", "/x")
            .with_remote_address("[::ffff:192.0.2.1]:7".parse().unwrap())
            .header(HeaderName::from_static("x-a"), HeaderValue::from_static("b"));
        assert_eq!(take(&request, None), Ok(PeerAddress("192.0.2.1:7".parse().unwrap())));
        assert_eq!(take::<HeaderMap>(&request, None).map(|headers| headers.len()), Ok(1));
        assert_eq!(take(&request, Some("v1")), Ok(Subprotocol(Some(String::from("v1")))));
        assert_eq!(take(&request, None), Ok(Subprotocol(None)));
        assert_eq!(take(&request, None), Ok(Origin(None)));
        let origin = |request: Request, value| request.header(header::ORIGIN, HeaderValue::from_bytes(value).unwrap());
        let once = origin(request.clone(), b"https://a.example");
        assert_eq!(take(&once, None), Ok(Origin(Some(String::from("https://a.example")))));
        assert_eq!(take::<Origin>(&origin(once, b"null"), None), Err(400));
        assert_eq!(take::<Origin>(&origin(request, b"\xff"), None), Err(400));
    }

    #[test]
    fn the_last_identity_of_a_type() {
        let request = Request::new("h", "/x");
        assert_eq!(take(&request, None), Ok(Identity(2_u8)));
        assert_eq!(take(&request, None), Ok(Identity("me")));
        assert_eq!(take::<Identity<u16>>(&request, None), Err(500), "nobody says so");
    }
}
