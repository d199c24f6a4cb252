use proptest::prelude::*;

use super::*;

fn router(patterns: &[&'static str]) -> Router<&'static str> {
    let mut router = Router::new();
    for pattern in patterns {
        router.insert(pattern, *pattern).expect("a good pattern");
    }
    router
}

fn found(router: &Router<&'static str>, path: &str) -> Option<&'static str> {
    router.find(path).map(|found| *found.value)
}

#[test]
fn exact_text_wins_whatever_the_order() {
    let patterns =
        ["/rooms/{room}", "/rooms/lobby", "/{kind}/lobby", "/", "/rooms/{room}/{seat}", "/{*all}", "/rooms/{*rest}"];
    let mut reversed = patterns;
    reversed.reverse();
    for order in [patterns, reversed] {
        let router = router(&order);
        for (path, route) in [
            ("/rooms/lobby", "/rooms/lobby"),
            ("/rooms/x", "/rooms/{room}"),
            ("/halls/lobby", "/{kind}/lobby"),
            ("/", "/"),
            ("/rooms/a/b", "/rooms/{room}/{seat}"),
            ("/rooms/a/b/c", "/rooms/{*rest}"),
            ("/rooms", "/{*all}"),
            ("/rooms/", "/{*all}"),
        ] {
            assert_eq!(found(&router, path), Some(route), "{path}");
        }
        assert_eq!(found(&router, "rooms/x"), None);
        assert_eq!(found(&router, ""), None);
    }
}

#[test]
fn a_dead_end_is_left_again() {
    let router = router(&["/a/{x}/c", "/{y}/b/d", "/{*z}"]);
    let found = router.find("/a/b/d").expect("the second route");
    assert_eq!((*found.value, found.params.get("y"), found.params.len()), ("/{y}/b/d", Some("a"), 1));
    let found = router.find("/a/b/e").expect("the last route");
    assert_eq!((found.pattern, found.params.get("z"), found.params.len()), ("/{*z}", Some("a/b/e"), 1));
}

/// What stands between backticks.
fn code(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(|code| code.replace("\\|", "|")).collect()
}

#[test]
fn paths_find_what_the_guide_says() {
    let guide = include_str!("../../../docs/guide/routing.md");
    let (_, lists) = guide.split_once("<!-- routes -->").expect("the list of routes");
    let mut router = Router::new();
    let mut rows = 0;
    for line in lists.lines() {
        let pattern = code(line).into_iter().next().unwrap_or_default();
        if line.starts_with("- expression") {
            router.insert_expression(&pattern, ()).expect("an expression of the guide");
        } else if line.starts_with("- ") {
            router.insert(&pattern, ()).expect("a route of the guide");
        } else if line.starts_with("| `") {
            let cells: Vec<&str> = line.trim_matches('|').split(" |").collect();
            let [path, route, parameters] = cells[..] else { panic!("three cells: {line}") };
            let route = code(route).into_iter().next();
            let parameters: Vec<(String, String)> = parameters
                .split(", ")
                .filter_map(|one| Some((one.split_whitespace().next()?.to_owned(), code(one).into_iter().next()?)))
                .collect();
            let found = router.find(&pattern);
            let said = found.as_ref().map(|found| found.pattern.to_owned());
            assert_eq!(said, route, "{path}");
            let params = found.map(|found| found.params).unwrap_or_default();
            let params: Vec<_> = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(params, parameters, "{path}");
            rows += 1;
        }
    }
    assert!(rows >= 100, "{rows} rows");
}

#[test]
fn long_paths() {
    let mut router = router(&["/{*all}", "/{one}"]);
    let long = "x".repeat(64 * 1024);
    let found = router.find(&format!("/{long}")).expect("one segment may be long");
    assert_eq!(found.params.get("one"), Some(long.as_str()));
    let (most, more) = ("/x".repeat(pattern::MAX_SEGMENTS), "/x".repeat(pattern::MAX_SEGMENTS + 1));
    assert_eq!(router.find(&most).expect("64 segments").pattern, "/{*all}");
    assert!(router.find(&more).is_none() && router.find(&"/".repeat(1 << 20)).is_none());
    assert_eq!(router.insert(&most, "most"), Ok(()));
    assert!(matches!(router.insert(&more, "more"), Err(RouteError::NeverMatches { .. })));
}

#[test]
fn expressions_match_whole_paths_after_the_patterns() {
    let mut router = router(&["/files/{name}"]);
    router.insert_expression(r"/files/.*", "all files").expect("a good expression");
    router.insert_expression(r"/(?P<year>\d{4})/(?P<name>[\w.-]+)|/old", "by year").expect("a good expression");
    assert_eq!(found(&router, "/files/x"), Some("/files/{name}"), "patterns first");
    assert_eq!(found(&router, "/files/x/y"), Some("all files"));
    let by_year = router.find("/2026/a%2Eb").expect("a year and a name");
    assert_eq!(by_year.params.iter().collect::<Vec<_>>(), [("year", "2026"), ("name", "a.b")]);
    assert!(router.find("/old").is_some_and(|found| found.params.is_empty()), "groups that took no part are left out");
    for bad in ["(", "a)(b", "[", r"/files/.*", "/files/{name}"] {
        assert!(router.insert_expression(bad, "x").is_err(), "{bad}");
    }
    router.insert_expression("/plain", "x").expect("a good expression");
    assert!(router.insert("/plain", "x").is_err(), "one text, one route");
}

#[test]
fn mistakes_are_told() {
    let mut router = router(&["/rooms/{room}", "/files/{*path}"]);
    for (bad, sentence) in [
        ("rooms", "does not begin"),
        ("", "does not begin"),
        ("/{}", "neither plain text"),
        ("/{*}", "neither plain text"),
        ("/rooms/*", "neither plain text nor one {name} nor {*name}"),
        ("/a{b}", "neither plain text"),
        ("/{a}b", "neither plain text"),
        ("/{a b}", "neither plain text"),
        ("/{a}/{a}", "stands twice"),
        ("/{a}/{*a}", "stands twice"),
        ("/{*a}/b", "not the last segment"),
        ("/{*a}/", "not the last segment"),
        ("/rooms/{other}", "same paths as \"/rooms/{room}\", which is registered already"),
        ("/files/{*other}", "same paths as \"/files/{*path}\""),
        ("/chat?x=1", "before its query"),
        ("/chat#x", "before its query"),
        ("/caf%C3%A9", "written decoded"),
        ("/a/../b", "match nothing"),
        ("/.", "match nothing"),
    ] {
        let error = router.insert(bad, "x").expect_err(bad);
        assert!(error.to_string().contains(sentence), "{error}");
    }
    assert_eq!(router.patterns().collect::<Vec<_>>(), ["/files/{*path}", "/rooms/{room}"]);
}

#[test]
fn the_default_takes_what_nothing_else_does() {
    let mut router = router(&["/a"]);
    assert_eq!(router.insert_default("default"), Ok(()));
    assert_eq!(router.insert_default("another"), Err(RouteError::SecondDefault));
    assert_eq!(found(&router, "/a"), Some("/a"));
    for path in ["/%FF", "/../a", "nonsense", ""] {
        assert_eq!(found(&router, path), None, "nobody can say what {path:?} means");
    }
    for path in ["/b", "/", "//", "/a/", "/%61%2F", "/a%2Fb"] {
        let found = router.find(path).expect("the default");
        assert_eq!((*found.value, found.pattern, found.params.len()), ("default", "*", 0), "{path}");
    }
    assert_eq!(router.remove("*"), Some("default"));
    assert!(router.find("/b").is_none() && router.remove("*").is_none());
}

#[test]
fn routes_are_listed_counted_and_removed() {
    let mut router = router(&["/b", "/a/{x}", "/a/{x}/c"]);
    router.insert_expression("/e.*", "e").expect("a good expression");
    for path in ["/b", "/b", "/a/1", "/e1", "/none", "/%FF"] {
        let _ = router.find(path);
    }
    let listed: Vec<_> = router.routes().iter().map(|route| (route.pattern, route.kind, route.hits)).collect();
    assert_eq!(
        listed,
        [
            ("/a/{x}", RouteKind::Parameters, 1),
            ("/a/{x}/c", RouteKind::Parameters, 0),
            ("/b", RouteKind::Exact, 2),
            ("/e.*", RouteKind::Expression, 1),
        ]
    );
    let stats = RouterStats { exact: 1, parameters: 2, expressions: 1, has_default: false, hits: 4, misses: 2 };
    assert_eq!(router.stats(), stats);
    assert_eq!(router.clone().stats(), stats, "a copy knows as much");

    assert_eq!(router.remove("/a/{y}"), None, "only by its own text");
    assert_eq!(router.remove("no pattern"), None);
    assert_eq!(router.remove("/e.*"), Some("e"));
    assert_eq!(router.remove("/a/{x}"), Some("/a/{x}"));
    assert_eq!(router.remove("/a/{x}"), None);
    assert_eq!(found(&router, "/a/1"), None);
    assert_eq!(found(&router, "/a/1/c"), Some("/a/{x}/c"));
    assert_eq!(router.insert("/a/{y}", "again"), Ok(()));
}

#[test]
fn routers_are_put_below_a_prefix() {
    let mut inner = router(&["/", "/x", "/{*rest}"]);
    inner.insert_expression(r"/(?P<n>\d+)-|/end", "expression").expect("a good expression");
    let mut outer = router(&["/"]);
    outer.nest("/api.v1/{tenant}", inner.clone()).expect("a good prefix");
    for (path, value) in [
        ("/", Some("/")),
        ("/api.v1/me", Some("/")),
        ("/api.v1/me/", None),
        ("/api.v1/me/x", Some("/x")),
        ("/api.v1/me/y/z", Some("/{*rest}")),
        ("/apixv1/me/x", None),
    ] {
        assert_eq!(found(&outer, path), value, "{path}");
    }
    assert_eq!(outer.remove("/api.v1/{tenant}/{*rest}"), Some("/{*rest}"));
    let both = outer.find("/api.v1/me/17-").expect("the expression");
    assert_eq!(both.params.iter().collect::<Vec<_>>(), [("tenant", "me"), ("n", "17")]);
    assert_eq!(found(&outer, "/api.v1/me/end"), Some("expression"));
    assert_eq!(found(&outer, "/end"), None);

    assert!(matches!(outer.nest("/api.v1/{tenant}", inner.clone()), Err(RouteError::Duplicate { .. })));
    for bad in ["", "/", "api", "/api/", "/{*all}"] {
        assert!(outer.nest(bad, inner.clone()).is_err(), "{bad}");
    }
    inner.insert_default("default").expect("the first");
    assert_eq!(outer.nest("/other", inner), Err(RouteError::NestedDefault(String::from("/other"))));
}

/// For each segment which sort of thing stands for it, and the values of the parameters; `None` if the path does not
/// match. Written without a tree.
fn by_hand(pattern: &str, path: &str) -> Option<(Vec<u8>, Vec<String>)> {
    let decoded: Vec<String> = path[1..]
        .split('/')
        .map(|segment| segment.replace("%61", "a").replace("%2F", "/").replace("%C3%A9", "é"))
        .collect();
    let mut kinds = Vec::new();
    let mut values = Vec::new();
    let parts: Vec<&str> = pattern[1..].split('/').collect();
    for (at, part) in parts.iter().enumerate() {
        if part.starts_with("{*") {
            let rest = decoded.get(at..)?.join("/");
            kinds.push(2);
            values.push(rest.clone());
            return (!rest.is_empty()).then_some((kinds, values));
        }
        let segment = decoded.get(at)?;
        if part.starts_with('{') {
            kinds.push(1);
            values.push(segment.clone());
            if segment.is_empty() {
                return None;
            }
        } else {
            kinds.push(0);
            if part != segment {
                return None;
            }
        }
    }
    (parts.len() == decoded.len()).then_some((kinds, values))
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    let segment = prop::sample::select(vec!["a", "b", "é", "", "{x}", "{y}", "{z}", "a/b"]);
    let tail = prop::sample::select(vec!["", "/{*r}", "/{*s}", "/a"]);
    let pattern = (prop::collection::vec(segment, 1..4), tail)
        .prop_map(|(segments, tail)| format!("/{}{tail}", segments.join("/")));
    prop::collection::vec(pattern, 0..16)
}

fn paths() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "c", "", "%61", "%C3%A9", "a%2Fb", "é"]);
    prop::collection::vec(segment, 0..6).prop_map(|segments| format!("/{}", segments.join("/")))
}

proptest! {
    #[test]
    fn a_tree_finds_what_a_list_finds(patterns in patterns(), paths in prop::collection::vec(paths(), 1..20)) {
        let mut router = Router::new();
        let taken: Vec<&String> = patterns.iter().filter(|pattern| router.insert(pattern, ()).is_ok()).collect();
        let mut backwards = Router::new();
        for pattern in taken.iter().rev() {
            prop_assert_eq!(backwards.insert(pattern, ()), Ok(()), "what goes together does so in any order");
        }
        for path in &paths {
            let best = taken.iter().filter_map(|pattern| Some((by_hand(pattern, path)?, pattern.as_str()))).min();
            let found = router.find(path);
            let there = found.map(|found| (found.pattern.to_owned(), found.params));
            let values = |params: &Params| params.iter().map(|(_, value)| value.to_owned()).collect::<Vec<_>>();
            let seen = there.as_ref().map(|(pattern, params)| (pattern.as_str(), values(params)));
            prop_assert_eq!(seen, best.map(|((_, values), pattern)| (pattern, values)), "{}", path);
            let again = backwards.find(path).map(|found| (found.pattern.to_owned(), found.params));
            prop_assert_eq!(again, there, "{}", path);
        }
        let stats = router.stats();
        prop_assert_eq!(stats.hits + stats.misses, paths.len() as u64);
        prop_assert_eq!(router.patterns().count(), taken.len());
    }

    #[test]
    fn what_was_removed_was_never_there(patterns in patterns(), keep in any::<u16>(), paths in prop::collection::vec(paths(), 1..20)) {
        let mut router = Router::new();
        let taken: Vec<&String> = patterns.iter().filter(|pattern| router.insert(pattern, ()).is_ok()).collect();
        let mut without = Router::new();
        for (index, pattern) in taken.iter().enumerate() {
            if keep >> (index % 16) & 1 == 1 {
                prop_assert_eq!(without.insert(pattern, ()), Ok(()));
            } else {
                prop_assert_eq!(router.remove(pattern), Some(()));
            }
        }
        for path in &paths {
            let found = router.find(path).map(|found| found.pattern.to_owned());
            prop_assert_eq!(found, without.find(path).map(|found| found.pattern.to_owned()), "{}", path);
        }
        for pattern in &taken {
            let there = without.patterns().any(|known| known == pattern.as_str());
            prop_assert_eq!(router.remove(pattern).is_some(), there);
        }
        prop_assert_eq!(router.patterns().count(), 0);
        let nothing = format!("{:?}", Node::<()>::new());
        prop_assert_eq!(format!("{:?}", router.root), nothing, "no empty nodes are left");
    }
}
