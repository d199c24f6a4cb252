//! A router with middleware over requests of any kind.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use super::input::Input;
use super::start;
use crate::Request;
use crate::admission::{Admission, Verdict};
use crate::middleware::{AllowOrigins, Arrival, Decision, HeaderRules, Middleware, RateLimit, SessionLimit};
use crate::router::Router;

/// Which rules there are and who asks when, then routes, an empty line, a path, and header fields: the same request some
/// times over, judged by all together and by each alone.
pub fn admission(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, sessions) = (input.byte(), usize::from(input.byte() % 4));
    let steps = [(); 4].map(|()| input.byte());
    let Ok(text) = std::str::from_utf8(input.rest()) else { return };
    let (routes, request) = text.split_once("\n\n").unwrap_or(("", text));
    let Some(request) = asked(request) else { return };

    let origins = AllowOrigins::only(["https://a.example", "https://*.b.example:8443", "http://[::1]"])
        .allow_missing(flags & 1 != 0);
    let rules = HeaderRules::new().single("x").max_value_size("y", 4).deny("z");
    let (limit, nested) = (SessionLimit::total(sessions), SessionLimit::per_route(1));
    let mut outer = Admission::default();
    outer.push(rate());
    outer.push(origins.clone());
    outer.push(rules.clone());
    outer.push(limit.clone());
    let mut inner = Admission::default();
    inner.push(nested.clone());
    let Some((admission, all)) = routed(outer, inner, routes) else { return };

    let found = all.find(request.path()).map(|found| (*found.value, found.pattern));
    let is_nested = found.is_some_and(|(index, _)| index % 2 == 1);
    let (rate, mut held, mut milliseconds) = (rate(), Vec::new(), 0);
    for step in steps {
        milliseconds += u64::from(step >> 1) * 10;
        let now = start() + Duration::from_millis(milliseconds);
        let arrival = Arrival::new(&request, found.map(|(_, pattern)| pattern), now);
        let alone = [&rate as &dyn Middleware, &origins, &rules].map(|middleware| middleware.decide(&arrival));
        let first = alone.into_iter().find_map(|decision| match decision {
            Decision::Reject(rejection) => Some(rejection),
            _ => None,
        });
        let full = held.len() >= sessions;
        let expected = match (first, found) {
            (Some(rejection), _) => Err(rejection),
            (None, None) if !full => Err(StatusCode::NOT_FOUND.into()),
            (None, Some((index, _))) if !(full || is_nested && !held.is_empty()) => Ok(index),
            (None, _) => Err(StatusCode::SERVICE_UNAVAILABLE.into()),
        };
        let seen = match admission.decide(&request, now) {
            Verdict::Reject(rejection) => Err(rejection),
            Verdict::Run(admitted) => {
                assert_eq!(admitted.permits.len(), 1 + usize::from(is_nested));
                held.push(admitted.permits);
                Ok(*admitted.found.value)
            }
        };
        assert_eq!(seen, expected, "{request:?}");
        assert_eq!((limit.open(), nested.open()), (held.len(), if is_nested { held.len() } else { 0 }));
        if step & 1 == 1 {
            held.pop();
        }
    }
    drop(held);
    assert_eq!((limit.open(), nested.open()), (0, 0), "all is given back");
}

fn rate() -> RateLimit {
    RateLimit::token_bucket(2, Duration::from_secs(1))
}

/// Every second route below a prefix, and all of them in one router; `None` when they conflict.
fn routed(
    mut outer: Admission<usize>,
    mut inner: Admission<usize>,
    routes: &str,
) -> Option<(Admission<usize>, Router<usize>)> {
    let mut all = Router::new();
    for (index, route) in routes.split('\n').take(MAX_ROUTES).enumerate() {
        let name = if index % 2 == 0 { route.to_owned() } else { nested_name(route) };
        let admission = if index % 2 == 0 { &mut outer } else { &mut inner };
        if admission.route(route, index).is_ok() {
            // Routes that go well apart may conflict together.
            let _ = all.insert(&name, index);
        }
    }
    outer.nest(PREFIX, inner).ok().map(|()| (outer, all))
}

/// A path, and header fields one in each line.
fn asked(text: &str) -> Option<Request> {
    let mut lines = text.split('\n');
    let mut request = Request::new("h", lines.next()?);
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request = request.header(name, HeaderValue::from_str(value).ok()?);
    }
    Some(request)
}

fn nested_name(route: &str) -> String {
    let below = if route == "/" { "" } else { route };
    format!("{PREFIX}{below}")
}

const PREFIX: &str = "/in/{tenant}";

/// Routes that one input can register.
const MAX_ROUTES: usize = 16;
