//! The CONNECT request and its fields (2.5 of the catalogue).

use super::place::{authority, echo};
use super::script::{On, Script, script};
use super::{Case, Reaction, Scene, Scope};
use crate::raw::{DRAFT_02, Options, Request, code};
use Reaction::{Aborts, Answers, Finishes};

pub(super) fn cases() -> Vec<Case> {
    let scripts =
        [pseudo_headers(), methods_and_tokens(), targets(), names_and_values(), forbidden_fields(), harmless_fields()];
    let mut cases: Vec<Case> = scripts.into_iter().flatten().flat_map(Script::cases).collect();
    cases.extend(origins());
    cases.push(without_datagrams());
    cases.push(fin_with_headers());
    cases
}

const MALFORMED: &[Reaction] = &[Aborts(code::H3_MESSAGE_ERROR)];
const ACCEPTED: &[Reaction] = &[Answers(200)];

fn connect() -> Request {
    Request::webtransport(authority(), echo())
}

fn send(rows: &'static str, name: impl Into<String>, request: &Request, expected: &[Reaction]) -> Script {
    script(rows, name, On::Request, request.frame(), expected)
}

fn pseudo_headers() -> Vec<Script> {
    let without = |rows, name: &str| send(rows, format!("CONNECT without {name}"), &connect().without(name), MALFORMED);
    let mut scripts = vec![
        without("123", ":method"),
        without("123", ":scheme"),
        without("123", ":path"),
        without("123 h37", ":authority"),
        send("124 h38", "unknown :foo", &connect().first(":foo", "bar"), MALFORMED),
        send(
            "124 h38",
            "misspelt :autority",
            &connect().without(":authority").first(":autority", authority()),
            MALFORMED,
        ),
        send("124", ":status in a request", &connect().first(":status", "200"), MALFORMED),
        send(
            "124 h39",
            ":path after a field",
            &connect().without(":path").and("x", "y").and(":path", echo()),
            MALFORMED,
        ),
        send(
            "124 h39",
            ":protocol after a field",
            &connect().without(":protocol").and("x", "y").and(":protocol", "webtransport"),
            MALFORMED,
        ),
    ];
    for (name, value) in [
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":authority", authority()),
        (":path", echo()),
        (":protocol", "webtransport"),
    ] {
        let rows = if name == ":method" { "124 h36" } else { "124" };
        scripts.push(send(rows, format!("{name} twice"), &connect().first(name, value), MALFORMED));
    }
    scripts
}

fn methods_and_tokens() -> Vec<Script> {
    let unknown = &[Answers(501)];
    let no_tunnel = &[Answers(405), Answers(501)];
    let tunnel = Request::plain("CONNECT", "localhost:443", "/").without(":scheme").without(":path");
    let with_path = connect().without(":protocol");
    let not_a_tunnel = &[Aborts(code::H3_MESSAGE_ERROR), Answers(400), Answers(405), Answers(501)];
    let mut scripts = vec![
        send("125", ":protocol with GET", &connect().with(":method", "GET"), MALFORMED),
        send("125", ":protocol with POST", &connect().with(":method", "POST"), MALFORMED),
        send("128", "plain CONNECT", &tunnel, no_tunnel),
        send("123 128", "CONNECT without :protocol", &with_path, not_a_tunnel),
    ];
    for token in ["websocket", "connect-udp", "webtransport-h9", "WebTransport", "webtransport ", ""] {
        let expected = if token.ends_with(' ') || token.is_empty() {
            &[Answers(501), Aborts(code::H3_MESSAGE_ERROR)]
        } else {
            &unknown[..]
        };
        scripts.push(send("126", format!(":protocol {token:?}"), &connect().with(":protocol", token), expected));
    }
    scripts
}

fn targets() -> Vec<Script> {
    let refused = &[Aborts(code::H3_MESSAGE_ERROR), Answers(400)];
    let misdirected = &[Aborts(code::H3_MESSAGE_ERROR), Answers(400), Answers(421)];
    let too_long =
        &[Aborts(code::H3_MESSAGE_ERROR), Answers(400), Answers(414), Answers(431), Aborts(code::H3_EXCESSIVE_LOAD)];
    let mut scripts = vec![
        send("130", ":authority empty", &connect().with(":authority", ""), misdirected),
        send("130", ":authority with userinfo", &connect().with(":authority", "me@localhost"), misdirected),
        send("130", "Host differs from :authority", &connect().and("host", "example.com"), misdirected),
        send("130", "Host equals :authority", &connect().and("host", authority()), ACCEPTED),
        send("132", ":path of 64 KiB", &connect().with(":path", format!("/{}", "a".repeat(65_535))), too_long)
            .counts_for(Scope::OwnLimits),
    ];
    for scheme in ["http", "HTTPS", "", "wss"] {
        scripts.push(send("W10", format!(":scheme {scheme:?}"), &connect().with(":scheme", scheme), refused));
    }
    for path in ["", "echo", "/ec\0ho", "/ec ho", "/echo#top", "/%zz", "/echo%", "*", "https://localhost/echo"] {
        scripts.push(send("132", format!(":path {path:?}"), &connect().with(":path", path), refused));
    }
    scripts
}

fn names_and_values() -> Vec<Script> {
    let field = |name: &str, value: &str| {
        send("133", format!("field {name:?}: {value:?}"), &connect().and(name, value), MALFORMED)
    };
    vec![
        field("X-Upper", "value"),
        field("with space", "value"),
        field("with\u{1}control", "value"),
        field("with:colon", "value"),
        field("x", "line\r\nbreak"),
        field("x", "carriage\rreturn"),
        field("x", "new\nline"),
        field("x", "nul\0"),
        field("x", " leading blank"),
        field("x", "trailing blank "),
        field("x", "trailing tab\t"),
    ]
}

fn forbidden_fields() -> Vec<Script> {
    let field =
        |rows, name: &str, value: &str| send(rows, format!("{name}: {value}"), &connect().and(name, value), MALFORMED);
    vec![
        field("134", "connection", "close"),
        field("134", "keep-alive", "timeout=5"),
        field("134", "upgrade", "webtransport"),
        field("134", "transfer-encoding", "chunked"),
        field("134", "proxy-connection", "keep-alive"),
        field("134", "te", "gzip"),
        field("135", "content-length", "0").counts_for(Scope::NewDraft),
        field("135", "content-type", "text/plain").counts_for(Scope::NewDraft),
    ]
}

fn harmless_fields() -> Vec<Script> {
    let cookies = (0..100).fold(connect(), |request, n| request.and("cookie", format!("c{n}={n}")));
    let protocols = |value: &str| connect().and("wt-available-protocols", value);
    let many: Vec<String> = (0..1000).map(|n| format!("\"p{n}\"")).collect();
    let mut scripts = vec![
        send("134", "te: trailers", &connect().and("te", "trailers"), ACCEPTED),
        send("151", "priority garbage", &connect().and("priority", "u=99, ?x=;;"), ACCEPTED),
        send("152", "cookies in 100 fields", &cookies, ACCEPTED),
        send("149", "1000 protocols", &protocols(&many.join(", ")), ACCEPTED).counts_for(Scope::OwnLimits),
        send("N12", "capsule-protocol: ?1", &connect().and("capsule-protocol", "?1"), ACCEPTED),
        send("N12", "capsule-protocol garbage", &connect().and("capsule-protocol", "yes;;"), ACCEPTED),
        send(
            "2b",
            "sec-webtransport-http3-draft02: 1",
            &connect().and("sec-webtransport-http3-draft02", "1"),
            ACCEPTED,
        ),
    ];
    for value in ["1, 2", "token", "(\"a\" \"b\")", ":YQ==:", "\"open", "\"a\", b", ",", "\"a\";q=1, \"a\""] {
        scripts.push(send("148 149", format!("wt-available-protocols: {value}"), &protocols(value), ACCEPTED));
    }
    scripts
}

/// Requests without an Origin are allowed; with one, it must be one of the server's.
fn origins() -> Vec<Case> {
    let forbidden = &[Answers(403)];
    let mut scripts = vec![
        send("145", "Origin null", &connect().and("origin", "null"), forbidden),
        send(
            "146",
            "two Origin fields",
            &connect().and("origin", "https://a.example").and("origin", "https://b.example"),
            &[Answers(403), Answers(400), Aborts(code::H3_MESSAGE_ERROR)],
        ),
    ];
    for origin in [
        "https://evil.example",
        "http://localhost.evil.example",
        "http://xlocalhost:8080",
        "HTTP://LOCALHOST",
        "garbage",
    ] {
        scripts.push(send("147", format!("Origin {origin}"), &connect().and("origin", origin), forbidden));
    }
    let mut cases: Vec<Case> = scripts.into_iter().flat_map(Script::cases).collect();
    // Which origins are welcome is a matter of configuration.
    let own = |name: &str, change: fn(&str) -> String, expected: &[Reaction]| {
        Case::new("147", name, expected, move |scene: &Scene<'_>| {
            let origin = scene.target.web.clone().unwrap_or_else(|| "http://localhost:8080".to_owned());
            let mut attacker = scene.greeted()?;
            let stream = attacker.peer.send(&connect().and("origin", change(&origin)))?;
            if attacker.wait_for_reaction(stream).is_some_and(|response| response.status == 200) {
                attacker.adopt(stream)?;
            }
            attacker.reaction(stream)
        })
    };
    cases.push(own("Origin of the server's own page", str::to_owned, ACCEPTED));
    cases.push(own("own Origin with a path", |origin| format!("{origin}/page"), forbidden));
    cases.push(own("own Origin with userinfo", |origin| origin.replace("://", "://me@"), forbidden));
    cases.push(own("own Origin with another scheme", |origin| origin.replace("http://", "https://"), forbidden));
    cases.push(own("own Origin with a dot behind the host", with_dot, forbidden));
    cases.push(own("own Origin with a longer port", |origin| format!("{origin}0"), forbidden));
    cases = cases.into_iter().map(|case| case.counts_for(Scope::OwnLimits)).collect();
    cases.extend(send("144", "no Origin", &connect(), ACCEPTED).cases());
    cases
}

/// `http://localhost:8080` as `http://localhost.:8080`.
fn with_dot(origin: &str) -> String {
    match origin.rsplit_once(':') {
        Some((host, port)) if !port.starts_with('/') => format!("{host}.:{port}"),
        _ => format!("{origin}."),
    }
}

fn without_datagrams() -> Case {
    Case::new("131", "CONNECT without the datagram transport parameter", MALFORMED, |scene: &Scene<'_>| {
        let mut attacker = scene.silent_with(&Options { datagrams: false, ..Options::default() })?;
        attacker.peer.send_settings(DRAFT_02)?;
        let stream = attacker.request(echo())?;
        attacker.wait_for_reaction(stream);
        let life = attacker.peer.send(&Request::plain("GET", authority(), "/"))?;
        attacker.peer.response(life)?;
        attacker.reaction_alone(stream)
    })
}

/// Accepted and ended cleanly; the response is there, and the connection takes a new session.
fn fin_with_headers() -> Case {
    Case::new("137 221", "FIN together with the CONNECT", &[Finishes], |scene: &Scene<'_>| {
        let mut attacker = scene.greeted()?;
        let stream = attacker.peer.client.open_bidi()?;
        attacker.peer.client.write(stream, &connect().frame())?;
        attacker.peer.client.finish(stream)?;
        let response = attacker.peer.response(stream)?;
        let seen = attacker.peer.until("the end of the session", |seen| {
            Some(seen.stream(stream)).filter(|stream| stream.ended()).cloned()
        })?;
        attacker.others_go_on()?;
        match (response.status, seen.fin) {
            (200, true) => Ok(Finishes),
            (200, false) => Ok(Aborts(seen.reset.unwrap_or_default())),
            (status, _) => Ok(Answers(status)),
        }
    })
}
