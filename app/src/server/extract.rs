//! From a request to the arguments of a handler: pure, and before the session is accepted.

use std::str::FromStr;
use std::sync::Arc;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use transom_core::Request;
use transom_core::middleware::Rejection;
use transom_core::router::Params;

use super::facts::IdentityType;
use super::parts::Parts;

/// An argument of a handler that comes from the request.
///
/// It is made before the session is accepted, so that what cannot be made is a refusal and not a session that opens and
/// closes. It must answer at once, and must not panic: that is answered with 500.
///
/// # Examples
///
/// ```
/// use transom::{FromRequest, Params, Rejection, Request, StatusCode};
///
/// struct Token(String);
///
/// impl<S> FromRequest<S> for Token {
///     fn from_request(request: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
///         let token = request.headers().get("x-token").and_then(|value| value.to_str().ok());
///         token.map(|token| Self(token.to_owned())).ok_or(Rejection::new(StatusCode::UNAUTHORIZED))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken out of a request where the state is `{S}`",
    label = "no argument of a handler",
    note = "after the `Session` or `SessionRequest`, handlers take `Path<T>`, `Params`, `Query`, `State<T>`, `HeaderMap`, \
            `PeerAddress`, `Origin`, `Subprotocol`, `Identity<T>`, `Arc<Request>`, and what implements `FromRequest<S>`",
    note = "`Path<T>` needs a `T: FromStr`, `State<T>` a `T: FromState<S>`, `Identity<T>` a `T: Clone + Send + Sync + 'static`"
)]
pub trait FromRequest<S>: Sized {
    /// Takes the argument out of the request.
    ///
    /// # Errors
    ///
    /// What to answer instead of accepting the session.
    fn from_request(request: &Request, params: &Params, state: &S) -> Result<Self, Rejection>;

    /// Takes the argument out of the request and what else is known; this is what is called for handlers.
    ///
    /// # Errors
    ///
    /// What to answer instead of accepting the session.
    fn from_parts(parts: &Parts<'_>, state: &S) -> Result<Self, Rejection> {
        Self::from_request(parts.request(), parts.params(), state)
    }

    /// The type of [`Identity`](crate::Identity) without which it cannot be had, if there is one: a server where no
    /// authentication gives that for the route does not start.
    ///
    /// An argument that calls [`Parts::identity`] says so here.
    fn identity() -> Option<IdentityType> {
        None
    }

    /// Says whether the argument can be had from requests of a route; asked when the route is added.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with the pattern.
    fn check_pattern(pattern: &str) -> Result<(), String> {
        let _ = pattern;
        Ok(())
    }
}

/// The one `{parameter}` of the route's pattern, parsed; 404 if that fails.
///
/// For patterns with several parameters use [`Params`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

/// The state given to [`ServerApp::with_state`](crate::ServerApp::with_state), or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State<T>(pub T);

/// A part of the state, for [`State`].
///
/// # Examples
///
/// ```
/// use transom::FromState;
///
/// #[derive(Clone)]
/// struct Hub;
///
/// #[derive(Clone)]
/// struct App {
///     hub: Hub,
/// }
///
/// impl FromState<App> for Hub {
///     fn from_state(app: &App) -> Self {
///         app.hub.clone()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no part of the state `{S}`",
    label = "neither the state nor a part of it",
    note = "`State<T>` gives the whole state, or a part for which you write `impl FromState<{S}> for {Self}`; the state is \
            what `ServerApp::with_state` was given"
)]
pub trait FromState<S> {
    /// Takes the part out of the whole.
    fn from_state(state: &S) -> Self;
}

/// The query of the URL, decoded; 400 if it does not decode to UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    entries: Vec<(String, String)>,
}

impl<S, T: FromStr> FromRequest<S> for Path<T> {
    fn from_request(_: &Request, params: &Params, _: &S) -> Result<Self, Rejection> {
        let mut values = params.iter().map(|(_, text)| text);
        let only = values.next().filter(|_| values.next().is_none());
        let value = only.and_then(|text| text.parse().ok());
        value.map(Self).ok_or_else(|| Rejection::new(StatusCode::NOT_FOUND))
    }

    fn check_pattern(pattern: &str) -> Result<(), String> {
        match pattern.split('/').filter(|segment| segment.starts_with('{')).count() {
            1 => Ok(()),
            count => Err(format!(
                "the handler takes a Path, which needs exactly one {{parameter}} in the pattern, and there are {count}"
            )),
        }
    }
}

impl<S> FromRequest<S> for Params {
    fn from_request(_: &Request, params: &Params, _: &S) -> Result<Self, Rejection> {
        Ok(params.clone())
    }
}

impl<S, T: FromState<S>> FromRequest<S> for State<T> {
    fn from_request(_: &Request, _: &Params, state: &S) -> Result<Self, Rejection> {
        Ok(Self(T::from_state(state)))
    }
}

impl<S: Clone> FromState<S> for S {
    fn from_state(state: &S) -> Self {
        state.clone()
    }
}

impl<S> FromRequest<S> for Query {
    fn from_request(request: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
        Self::parse(request.query().unwrap_or_default()).ok_or_else(|| Rejection::new(StatusCode::BAD_REQUEST))
    }
}

impl<S> FromRequest<S> for Arc<Request> {
    fn from_request(request: &Request, _: &Params, _: &S) -> Result<Self, Rejection> {
        Ok(Self::new(request.clone()))
    }
}

impl Query {
    /// The first value of a name; empty for a name that stands without one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All names and values, in the order of the URL.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Parses the form `a=1&b=2`; `None` when something does not decode to UTF-8.
    fn parse(query: &str) -> Option<Self> {
        let decode = |text: &str| {
            // A plus is a space in queries that forms and URLSearchParams write.
            let text = text.replace('+', " ");
            Some(percent_decode_str(&text).decode_utf8().ok()?.into_owned())
        };
        let entries = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        Some(Self { entries: entries.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transom_core::router::Router;

    fn params(pattern: &str, path: &str) -> Params {
        let mut router = Router::new();
        router.insert(pattern, ()).unwrap();
        router.find(path).unwrap().params
    }

    fn request(path: &str) -> Request {
        Request::new("example.org", path)
    }

    #[test]
    fn a_parameter_is_parsed() {
        let params = params("/rooms/{room}", "/rooms/17");
        assert_eq!(Path::from_request(&request("/rooms/17"), &params, &()), Ok(Path(17_u16)));
        assert_eq!(Path::from_request(&request("/rooms/17"), &params, &()), Ok(Path(String::from("17"))));
    }

    #[test]
    fn a_parameter_that_does_not_parse_is_not_found() {
        let params = params("/rooms/{room}", "/rooms/blue");
        let rejection = Path::<u16>::from_request(&request("/rooms/blue"), &params, &()).unwrap_err();
        assert_eq!(rejection.status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_path_wants_exactly_one_parameter() {
        let check = <Path<u16> as FromRequest<()>>::check_pattern;
        assert_eq!(check("/rooms/{room}"), Ok(()));
        assert!(check("/rooms").unwrap_err().contains("there are 0"));
        assert!(check("/{a}/{b}").unwrap_err().contains("there are 2"));
    }

    #[test]
    fn several_parameters_have_names() {
        let params = params("/{a}/{b}", "/x/y%20z");
        let params = Params::from_request(&request("/x/y%20z"), &params, &()).unwrap();
        assert_eq!((params.get("a"), params.get("b")), (Some("x"), Some("y z")));
    }

    #[test]
    fn the_state_or_a_part_of_it() {
        struct Part(u8);
        impl FromState<(u8, u8)> for Part {
            fn from_state(state: &(u8, u8)) -> Self {
                Self(state.1)
            }
        }
        let (request, params, state) = (request("/"), Params::default(), (1_u8, 2_u8));
        let State(whole) = State::<(u8, u8)>::from_request(&request, &params, &state).unwrap();
        assert_eq!(whole, state);
        let State(part) = State::<Part>::from_request(&request, &params, &state).unwrap();
        assert_eq!(part.0, 2);
    }

    #[test]
    fn a_query_is_decoded() {
        let query = |path: &str| Query::from_request(&request(path), &Params::default(), &());
        let found = query("/?name=J%C3%BCrgen+B&empty=&flag&name=second").unwrap();
        assert_eq!(found.get("name"), Some("Jürgen B"));
        assert_eq!((found.get("empty"), found.get("flag"), found.get("absent")), (Some(""), Some(""), None));
        assert_eq!(found.iter().filter(|(name, _)| *name == "name").count(), 2);
        assert_eq!(query("/").unwrap(), Query::default());
        assert_eq!(query("/?name=%FF").unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn the_whole_request() {
        let whole: Arc<Request> = FromRequest::from_request(&request("/a?b"), &Params::default(), &()).unwrap();
        assert_eq!(whole.path_and_query(), "/a?b");
    }
}
