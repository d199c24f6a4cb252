use http::{HeaderName, HeaderValue, header};
use proptest::prelude::*;

use super::*;
use crate::fuzzing::start;
use crate::middleware::{AllowOrigins, Arrival, Decision, HeaderRules, RateLimit, SessionLimit};

fn decide<'a>(
    admission: &'a Admission<&'static str>,
    request: &Request,
) -> Result<Admitted<'a, &'static str>, Rejection> {
    match admission.decide(request, start()) {
        Verdict::Run(admitted) => Ok(admitted),
        Verdict::Reject(rejection) => Err(rejection),
    }
}

fn status(admission: &Admission<&'static str>, path: &str) -> Result<&'static str, Rejection> {
    decide(admission, &Request::new("h", path)).map(|admitted| *admitted.found.value)
}

/// Refuses requests whose query is `word`.
fn dislikes(word: &'static str, status: StatusCode) -> impl Middleware {
    move |request: &Request, _| match request.query() {
        Some(query) if query == word => Decision::Reject(status.into()),
        _ => Decision::Continue,
    }
}

#[test]
fn middleware_is_asked_in_order_and_before_the_router() {
    let mut admission = Admission::default();
    admission.push(dislikes("tea", StatusCode::IM_A_TEAPOT));
    admission.push(|request: &Request, _| match request.query() {
        Some(_) => {
            let wait = HeaderValue::from_static("9");
            Decision::Reject(Rejection::new(StatusCode::TOO_MANY_REQUESTS).header(header::RETRY_AFTER, wait))
        }
        None => Decision::Continue,
    });
    admission.route("/a/{x}", "a").expect("a good route");
    admission.pattern_route("/b.*", "b").expect("a good expression");
    assert!(admission.route("a", "x").is_err() && admission.pattern_route("(", "x").is_err());

    assert_eq!(status(&admission, "/a/1"), Ok("a"));
    assert_eq!(status(&admission, "/bc/d"), Ok("b"));
    assert_eq!(status(&admission, "/a"), Err(StatusCode::NOT_FOUND.into()));
    assert_eq!(status(&admission, "/a?tea"), Err(StatusCode::IM_A_TEAPOT.into()), "the first, and no 404");
    let rejection = status(&admission, "/a/1?x").expect_err("the second minds");
    let response = crate::Response::from(rejection);
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers().get(header::RETRY_AFTER), Some(&HeaderValue::from_static("9")));
    assert_eq!(admission.routes().len(), 2);
    assert_eq!((admission.stats().hits, admission.stats().misses), (3, 2));
    assert_eq!(format!("{admission:?}"), r#"Admission { middleware: 2, routes: ["/a/{x}", "/b.*"] }"#);

    admission.default_route("rest").expect("the first");
    assert!(admission.default_route("rest").is_err());
    assert_eq!(status(&admission, "/a"), Ok("rest"));
}

#[test]
fn nested_routes_bring_their_middleware() {
    let mut innermost = Admission::default();
    innermost.push(dislikes("three", StatusCode::CONFLICT));
    innermost.route("/c", "c").expect("a good route");
    let mut inner = Admission::default();
    inner.push(dislikes("two", StatusCode::GONE));
    inner.push(dislikes("three", StatusCode::FORBIDDEN));
    inner.route("/", "b").expect("a good route");
    inner.nest("/in", innermost).expect("no conflict");
    let mut outer = Admission::default();
    outer.push(dislikes("one", StatusCode::IM_A_TEAPOT));
    outer.route("/a", "a").expect("a good route");
    outer.nest("/{b}", inner).expect("no conflict");

    for (path, expected) in [
        ("/a", Ok("a")),
        ("/a?two", Ok("a")),
        ("/b", Ok("b")),
        ("/b?two", Err(410)),
        ("/b?one", Err(418)),
        ("/b/in/c", Ok("c")),
        ("/b/in/c?two", Err(410)),
        ("/b/in/c?three", Err(403)),
        ("/b/in/d?two", Err(404)),
        ("/b/in/d?one", Err(418)),
    ] {
        let seen = status(&outer, path).map_err(|rejection| rejection.status.as_u16());
        assert_eq!(seen, expected, "{path}");
    }
    let mut twice = Admission::default();
    twice.route("/a", "x").expect("a good route");
    assert!(outer.nest("", twice).is_err());
}

#[test]
fn limits_by_route_and_for_some_routes() {
    let everywhere = SessionLimit::per_route(1);
    let below = SessionLimit::total(1);
    let mut inner = Admission::default();
    inner.push(below.clone());
    inner.route("/{x}", "in").expect("a good route");
    inner.route("/x/y", "in").expect("a good route");
    let mut admission = Admission::default();
    admission.push(everywhere.clone());
    admission.nest("/in", inner).expect("no conflict");
    admission.route("/out", "out").expect("a good route");

    let first = decide(&admission, &Request::new("h", "/in/1")).expect("room");
    assert_eq!((first.permits.len(), first.found.pattern), (2, "/in/{x}"));
    assert_eq!(status(&admission, "/in/2"), Err(StatusCode::SERVICE_UNAVAILABLE.into()), "the same route");
    assert_eq!(status(&admission, "/in/x/y"), Err(StatusCode::SERVICE_UNAVAILABLE.into()), "the same limit below /in");
    assert_eq!((everywhere.open(), below.open()), (1, 1), "what was refused later is given back");
    assert_eq!(status(&admission, "/out"), Ok("out"));
    drop(first);
    assert_eq!((everywhere.open(), below.open()), (0, 0));
    assert_eq!(status(&admission, "/in/2"), Ok("in"));
}

/// Judges origins by itself, and none of the kinds that are built in.
struct Judges;

impl Middleware for Judges {
    fn decide(&self, arrival: &Arrival<'_>) -> Decision {
        match arrival.request.origin() {
            Some(origin) if origin == "https://bad.example" => Decision::Reject(StatusCode::IM_A_TEAPOT.into()),
            _ => Decision::Continue,
        }
    }

    fn judges_origin(&self) -> bool {
        true
    }
}

/// `/out` and, below `/in`, `/in/x`.
fn inside_out(outer: &[Arc<dyn Middleware>], inner: &[Arc<dyn Middleware>]) -> Admission<&'static str> {
    let mut below = Admission::default();
    for middleware in inner {
        below.push_shared(Arc::clone(middleware));
    }
    below.route("/x", "in").expect("a good route");
    let mut admission = Admission::default();
    for middleware in outer {
        admission.push_shared(Arc::clone(middleware));
    }
    admission.route("/out", "out").expect("a good route");
    admission.nest("/in", below).expect("no conflict");
    admission
}

#[test]
fn pages_get_in_only_where_somebody_judges_origins() {
    let none: [Arc<dyn Middleware>; 0] = [];
    let rate: [Arc<dyn Middleware>; 1] = [Arc::new(RateLimit::fixed_window(1_000, std::time::Duration::from_secs(1)))];
    let only: [Arc<dyn Middleware>; 1] = [Arc::new(AllowOrigins::only(["https://a.example", "https://h"]))];
    let any: [Arc<dyn Middleware>; 1] = [Arc::new(AllowOrigins::any())];
    let function: [Arc<dyn Middleware>; 1] = [Arc::new(|_: &Request, _| Decision::Continue)];
    let judges: [Arc<dyn Middleware>; 1] = [Arc::new(Judges)];
    let good = Some("https://a.example");
    // Outer and inner middleware, the origin, and the answers for /out, /in/x and /none.
    let rows: [(&[_], &[_], _, _); 22] = [
        (&none, &none, None, [200, 200, 404]),
        (&none, &none, good, [403, 403, 403]),
        (&none, &none, Some("https://h"), [403, 403, 403]), // also the server's own
        (&none, &none, Some("null"), [403, 403, 403]),
        (&none, &none, Some(""), [403, 403, 403]),
        (&rate, &rate, good, [403, 403, 403]),
        (&function, &function, good, [403, 403, 403]),
        (&any, &none, good, [200, 200, 404]),
        (&any, &none, Some("null"), [200, 200, 404]),
        (&any, &none, None, [200, 200, 404]),
        (&only, &none, good, [200, 200, 404]),
        (&only, &none, Some("https://h"), [200, 200, 404]),
        (&only, &none, Some("https://b.example"), [403, 403, 403]),
        (&only, &none, None, [200, 200, 404]),
        (&only, &rate, good, [200, 200, 404]),
        (&rate, &only, good, [403, 200, 403]),
        (&rate, &only, Some("https://b.example"), [403, 403, 403]),
        (&rate, &only, None, [200, 200, 404]),
        (&any, &only, Some("https://b.example"), [200, 403, 404]),
        (&judges, &none, good, [200, 200, 404]),
        (&judges, &none, Some("https://bad.example"), [418, 418, 418]),
        (&none, &judges, Some("https://bad.example"), [403, 418, 403]),
    ];
    for (at, (outer, inner, origin, expected)) in rows.into_iter().enumerate() {
        let admission = inside_out(outer, inner);
        let seen = ["/out", "/in/x", "/none"].map(|path| {
            let request = Request::new("h", path);
            let request = origin.into_iter().fold(request, |request, origin| {
                request.header(header::ORIGIN, HeaderValue::from_str(origin).expect("a value"))
            });
            decide(&admission, &request).map_or_else(|rejection| rejection.status.as_u16(), |_| 200)
        });
        assert_eq!(seen, expected, "row {at}, {origin:?}");
    }
}

#[test]
fn who_refuses_says_why() {
    let page = Request::new("h", "/out").header(header::ORIGIN, HeaderValue::from_static("https://b.example"));
    let reason = |admission: &Admission<&'static str>| decide(admission, &page).expect_err("refused").reason;
    assert_eq!(reason(&inside_out(&[], &[])), Some(UNJUDGED));
    let only = inside_out(&[Arc::new(AllowOrigins::none())], &[]);
    assert!(reason(&only).is_some_and(|reason| reason.contains("not one of those allowed")));
    assert_eq!(status(&inside_out(&[], &[]), "/none").expect_err("no route").reason, None);
}

proptest! {
    /// Without an `Origin` field it makes no difference whether somebody judges origins; with one, nobody gets in whom
    /// no judge has seen, and those who are seen fare as if the others were not there.
    #[test]
    fn the_default_only_ever_refuses_pages(
        outer in prop::collection::vec(0_u8..4, 0..4), inner in prop::collection::vec(0_u8..4, 0..4),
        path in prop::sample::select(vec!["/out", "/in/x", "/none"]), origin in prop::option::of("[ -~]{0,20}"),
    ) {
        let middleware = |kind: &u8| -> Arc<dyn Middleware> {
            match kind {
                0 => Arc::new(AllowOrigins::any()),
                1 => Arc::new(Judges),
                2 => Arc::new(HeaderRules::new().single("x")),
                _ => Arc::new(|_: &Request, _| Decision::Continue),
            }
        };
        let all = |kinds: &[u8]| kinds.iter().map(middleware).collect::<Vec<_>>();
        let build = |outer: &[u8], inner: &[u8]| inside_out(&all(outer), &all(inner));
        let mut request = Request::new("h", path);
        if let Some(origin) = &origin {
            request = request.header(header::ORIGIN, HeaderValue::from_str(origin).expect("a value"));
        }
        let answer = |admission: &Admission<&'static str>| {
            decide(admission, &request).map(|admitted| *admitted.found.value).map_err(|no| no.status.as_u16())
        };
        let judged = outer.iter().chain(inner.iter().filter(|_| path == "/in/x")).any(|kind| *kind < 2);
        let seen = answer(&build(&outer, &inner));
        if origin.is_some() && !judged {
            prop_assert_eq!(seen, Err(403));
        } else {
            let everyone = [&[0], outer.as_slice()].concat();
            prop_assert_eq!(seen, answer(&build(&everyone, &inner)));
        }
    }

    /// The built-in middleware together gives what each of them gives alone.
    #[test]
    fn together_as_alone(
        asks in prop::collection::vec((0_usize..4, 0_usize..3, 0_usize..3, any::<bool>()), 0..60),
        limit in 0_u16..12, sessions in 0_usize..6,
    ) {
        let paths = ["/a", "/b/1", "/b/2", "/c"];
        let origins = AllowOrigins::only(["https://a.example"]).allow_missing(false);
        let rules = HeaderRules::new().single("x");
        let mut admission = Admission::default();
        admission.push(origins.clone());
        admission.push(rules.clone());
        let (hour, open) = (std::time::Duration::from_secs(3600), SessionLimit::total(sessions));
        admission.push(RateLimit::fixed_window(limit, hour));
        admission.push(open.clone());
        admission.route("/a", "a").expect("a good route");
        admission.route("/b/{x}", "b").expect("a good route");

        let (mut taken, mut held) = (0, Vec::new());
        for (path, origin, fields, ends) in asks {
            let mut request = Request::new("h", paths[path]);
            if let Some(origin) = ["https://a.example", "https://b.example"].get(origin) {
                request = request.header(header::ORIGIN, HeaderValue::from_static(origin));
            }
            for _ in 0..fields {
                request = request.header(HeaderName::from_static("x"), HeaderValue::from_static("1"));
            }
            let expected = if origin != 0 {
                403
            } else if fields == 2 {
                400
            } else if taken == limit {
                429
            } else {
                taken += 1;
                match path {
                    _ if held.len() >= sessions => 503,
                    3 => 404,
                    _ => 200,
                }
            };
            let seen = match decide(&admission, &request) {
                Ok(admitted) => {
                    held.push(admitted.permits);
                    200
                }
                Err(rejection) => rejection.status.as_u16(),
            };
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(open.open(), held.len());
            if ends {
                held.pop();
            }
        }
    }
}
