use std::fmt::Write;

use super::*;
use value::Unit;

fn problem(text: &str) -> String {
    Settings::from_toml(text).unwrap_err().to_string()
}

fn environment(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let mut settings = Settings::default();
    let variables = variables.iter().map(|(name, value)| (String::from(*name), String::from(*value)));
    settings.read_environment(variables).map(|()| settings)
}

#[test]
fn a_file_is_read() {
    let settings = Settings::from_toml(
        r#"
        listen = ["[::1]:1", "127.0.0.1:1"]
        workers = 2
        operations = ["127.0.0.1:9100"]
        grace = "5 min"
        origins = ["https://a.example"]
        [tls]
        rotating = ["localhost"]
        watch = "250ms"
        [limits]
        max_connections = 7
        stream_window = "1 MiB"
        send_window = 4096
        idle_timeout = "1 h"
        datagram_max_age = "none"
        "#,
    )
    .unwrap();
    assert_eq!(settings.listen, ["[::1]:1", "127.0.0.1:1"]);
    assert_eq!(settings.grace, Duration::from_secs(300));
    assert_eq!(
        (settings.workers, settings.operations.as_slice()),
        (Some(2), [String::from("127.0.0.1:9100")].as_slice())
    );
    assert_eq!(settings.tls.watch, Duration::from_millis(250));
    assert_eq!(settings.limits.max_connections, 7);
    assert_eq!((settings.limits.stream_window, settings.limits.send_window), (1 << 20, 4096));
    assert_eq!(settings.limits.idle_timeout, Duration::from_secs(3600));
    assert_eq!(settings.limits.datagram_max_age, None);
    assert_eq!(settings.limits.max_sessions, Config::default().max_sessions);
    settings.tls().unwrap();
}

#[test]
fn the_environment_is_read() {
    let settings = environment(&[
        ("TRANSOM_LISTEN", "127.0.0.1:1, [::1]:1"),
        ("TRANSOM_TLS_CERTIFICATE", "cert.pem"),
        ("TRANSOM_TLS_LOG_KEYS", "true"),
        ("TRANSOM_LIMITS_MAX_CONNECTIONS", "9"),
        ("TRANSOM_LIMITS_DATAGRAM_MAX_AGE", "100 ms"),
        ("TRANSOM_CONFIG", "elsewhere"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    assert_eq!(settings.listen, ["127.0.0.1:1", "[::1]:1"]);
    assert_eq!(settings.limits.max_connections, 9);
    assert_eq!(settings.limits.datagram_max_age, Some(Duration::from_millis(100)));
    assert!(settings.tls.log_keys);
    assert!(settings.tls().unwrap_err().to_string().contains("tls.key is missing"));
}

#[test]
fn what_is_unknown_is_refused_with_the_nearest_name() {
    for (text, name, meant) in [
        ("lisen = []", "lisen", "listen"),
        ("[limits]\nmax_conections = 1", "limits.max_conections", "limits.max_connections"),
        ("max_connections = 1", "max_connections", "limits.max_connections"),
        ("[tls]\ncert = 'a'\nkeys = 'b'", "tls.", "tls.key"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(&format!("no setting {name}")), "{problem}");
        assert!(problem.contains("did you mean") && (problem.contains(meant) || name == "tls."), "{problem}");
    }
    assert!(!problem("[something]\nentirely = 'else'").contains("did you mean"));
    let problem = environment(&[("TRANSOM_LIMITS_MAX_SESSION", "1")]).unwrap_err().to_string();
    assert!(problem.contains("no setting TRANSOM_LIMITS_MAX_SESSION;"), "{problem}");
    assert!(problem.contains("did you mean TRANSOM_LIMITS_MAX_SESSIONS?"), "{problem}");
}

#[test]
fn what_is_invalid_is_named() {
    for (text, field, part) in [
        ("[limits]\nmax_connections = -1", "limits.max_connections", "not negative"),
        ("[limits]\nmax_connections = 'many'", "limits.max_connections", "whole number"),
        ("[limits]\nmax_connections = 1.5", "limits.max_connections", "no meaning"),
        ("[limits]\nmax_bidi_streams = 4294967296", "limits.max_bidi_streams", "at most 4294967295"),
        ("[limits]\nstream_window = '1 MB'", "limits.stream_window", "KiB"),
        ("[limits]\nidle_timeout = 30", "limits.idle_timeout", "\"30 s\""),
        ("[limits]\nidle_timeout = '30'", "limits.idle_timeout", "\"30 s\""),
        ("[limits]\ndatagram_max_age = 'never'", "limits.datagram_max_age", "\"none\""),
        ("[limits]\ninitial_mtu = 1199", "limits.initial_mtu", "1200"),
        ("[limits]\nmax_mtu = 65528", "limits.max_mtu", "65527"),
        ("[limits]\nmax_uni_streams = 2", "limits.max_uni_streams", "at least 3"),
        ("[limits]\nmax_bidi_streams = 0", "limits.max_bidi_streams", "at least 1"),
        ("[limits]\nkeep_alive_interval = '30 s'", "limits.keep_alive_interval", "idle_timeout"),
        ("[tls]\nlog_keys = 'yes'", "tls.log_keys", "true or false"),
        ("[tls]\nclient_certificates = 'maybe'", "tls.client_certificates", "optional"),
        ("[tls]\ncertificate = 7", "tls.certificate", "path"),
        ("[tls]\ncertificate = 'a'\nrotating = ['b']", "tls.rotating", "excludes"),
        ("listen = []", "listen", "no address"),
        ("listen = 7", "listen", "list"),
        ("workers = 256", "workers", "at most 255"),
        ("limits = 7", "limits", "no setting"),
        ("listen = [", "line 1", ""),
    ] {
        let problem = problem(text);
        assert!(problem.contains(field) && problem.contains(part), "{text:?} gives {problem:?}");
    }
    let missing = Settings::load("/nonexistent/transom.toml").unwrap_err().to_string();
    assert!(missing.contains("/nonexistent/transom.toml") && missing.contains("No such file"), "{missing}");
}

#[test]
fn settings_serve() {
    let mut settings = Settings::from_toml("[tls]\nrotating = ['localhost']").unwrap();
    assert!(ServerApp::new().bind_settings(&settings).is_ok());
    settings.origins = vec![String::from("*")];
    assert!(ServerApp::new().bind_settings(&settings).is_ok());
    for bad in ["not an origin", "https://a.example,*"] {
        settings.origins = bad.split(',').map(String::from).collect();
        let problem = ServerApp::new().bind_settings(&settings).unwrap_err().to_string();
        assert!(problem.contains("origins"), "{problem}");
    }
    settings.tls = TlsSettings::default();
    let problem = ServerApp::new().bind_settings(&settings).unwrap_err().to_string();
    assert!(problem.contains("tls.certificate is missing"), "{problem}");
}

/// What the core says about a limit.
fn words_of_the_core(name: &str) -> String {
    let source = include_str!("../../../core/src/config.rs");
    let end = source.find(&format!("    pub {name}:")).unwrap_or_else(|| panic!("{name} is not in Config"));
    let before: Vec<&str> = source[..end].lines().rev().take_while(|line| line.starts_with("    ///")).collect();
    let words: Vec<&str> = before.iter().rev().map(|line| line.trim_start_matches("    ///").trim()).collect();
    // Links to other items have no meaning outside of rustdoc.
    let text = words.join(" ").replace("  ", " ");
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("](") {
        plain += &before.replace('[', "");
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    (plain + rest).trim().to_owned()
}

fn page() -> String {
    let mut page = String::from(include_str!("page.md"));
    let default = Settings::default();
    let mut section = None;
    for field in FIELDS {
        let (found, short) = field.name.split_once('.').unwrap_or(("", field.name));
        if section != Some(found) {
            section = Some(found);
            let title = if found.is_empty() { String::from("The server") } else { format!("`[{found}]`") };
            write!(page, "\n## {title}\n\n| setting | default | what it is |\n|---|---|---|\n").unwrap();
        }
        let what = if found == "limits" { words_of_the_core(short) } else { field.what.to_owned() };
        let shown = (field.shown)(&default);
        let shown = if shown.is_empty() { String::from("–") } else { format!("`{shown}`") };
        let bytes = if field.unit == Unit::Bytes && !what.to_lowercase().contains("bytes") { " Bytes." } else { "" };
        writeln!(page, "| `{short}` | {shown} | {what}{bytes} |").unwrap();
    }
    page
}

#[test]
fn every_limit_is_a_setting() {
    let source = include_str!("../../../core/src/config.rs");
    let table = source.split("pub struct Config {").nth(1).unwrap().split("\n}").next().unwrap();
    let limits: Vec<&str> = table
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next())
        // Of these one is for simulations, and the other is set by the server itself.
        .filter(|name| !["random_seed", "worker"].contains(name))
        .collect();
    let known: Vec<&str> = FIELDS.iter().filter_map(|field| field.name.strip_prefix("limits.")).collect();
    assert_eq!(known, limits);
}

#[test]
fn every_setting_takes_what_it_shows() {
    let default = Settings::default();
    for field in FIELDS {
        let shown = (field.shown)(&default);
        if shown.is_empty() {
            continue;
        }
        let (section, name) = field.name.split_once('.').unwrap_or(("", field.name));
        let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let read = Settings::from_toml(&format!("{header}{name} = {shown}")).unwrap();
        assert_eq!((field.shown)(&read), shown, "{}", field.name);
    }
}

/// With TRANSOM_WRITE in the environment it writes the page instead.
#[test]
fn the_page_of_settings_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = page();
    if std::env::var_os("TRANSOM_WRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/configuration.md is out of date: run this test with TRANSOM_WRITE=1");
}
