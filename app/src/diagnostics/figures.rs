//! The same figures for Prometheus and for the `metrics` facade.

use std::fmt::Write;

use super::{RouteDiagnostics, ServerDiagnostics, ServerState};

/// One figure.
struct Figure {
    name: &'static str,
    help: &'static str,
    value: u64,
    /// Whether it only ever grows.
    counts: bool,
}

impl ServerDiagnostics {
    /// All figures in the text format of Prometheus; sessions are not in it one by one.
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        for Figure { name, help, value, counts } in self.figures() {
            let kind = if counts { "counter" } else { "gauge" };
            // Writing to a text does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
        if !self.routes.is_empty() {
            let _ = writeln!(text, "# HELP {ROUTES} {ROUTES_HELP}\n# TYPE {ROUTES} counter");
        }
        for RouteDiagnostics { pattern, hits } in &self.routes {
            let label = pattern.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = writeln!(text, "{ROUTES}{{route=\"{label}\"}} {hits}");
        }
        text
    }

    /// Gives all figures to the recorder of the `metrics` crate that the program has installed.
    ///
    /// Call it before each scrape, or every few seconds; several servers in one process add a label of their own:
    ///
    /// ```
    /// # fn example(server: transom::ServerHandle) {
    /// server.diagnostics().record_metrics(&[("server", "public")]);
    /// # }
    /// ```
    #[cfg(feature = "metrics")]
    pub fn record_metrics(&self, labels: &[(&'static str, &'static str)]) {
        for Figure { name, help, value, counts } in self.figures() {
            if counts {
                metrics::describe_counter!(name, help);
                metrics::counter!(name, labels).absolute(value);
            } else {
                metrics::describe_gauge!(name, help);
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
                metrics::gauge!(name, labels).set(value as f64);
            }
        }
        metrics::describe_counter!(ROUTES, ROUTES_HELP);
        for RouteDiagnostics { pattern, hits } in &self.routes {
            let common = labels.iter().map(|(name, value)| metrics::Label::new(*name, *value));
            let labels: Vec<_> = common.chain([metrics::Label::new("route", pattern.clone())]).collect();
            metrics::counter!(ROUTES, labels).absolute(*hits);
        }
    }

    fn figures(&self) -> Vec<Figure> {
        let counters = &self.counters;
        let gauge = |name, help, value| Figure { name, help, value, counts: false };
        let counter = |name, help, value| Figure { name, help, value, counts: true };
        let ready = u64::from(self.state == ServerState::Serving);
        let mut figures = vec![
            gauge("transom_ready", "Whether new sessions are welcome.", ready),
            gauge("transom_uptime_seconds", "Time since the start.", self.uptime_seconds),
            gauge("transom_connections", "Connections now.", counters.connections_open),
            gauge("transom_connections_limit", "Connections allowed on an address.", self.limits.max_connections),
            gauge("transom_sessions", "Sessions now.", counters.sessions_open),
            gauge("transom_handlers", "Handlers that have not returned.", self.running_handlers),
            counter("transom_handlers_failed_total", "Handlers that panicked or gave errors.", self.failed_handlers),
            counter("transom_requests_without_route_total", "Requests that found no route.", self.routes_missed),
            counter("transom_connections_accepted_total", "Handshakes begun.", counters.connections_accepted),
            counter("transom_connections_refused_total", "Attempts turned away.", counters.connections_refused),
            counter("transom_connections_lost_total", "Connections ended.", counters.connections_lost),
            counter("transom_sessions_accepted_total", "Sessions opened.", counters.sessions_accepted),
            counter("transom_sessions_refused_total", "Requests for sessions refused.", counters.sessions_refused),
            counter("transom_streams_received_total", "Streams that peers opened.", counters.streams_opened_by_peer),
            counter("transom_streams_opened_total", "Streams opened.", counters.streams_opened),
            counter("transom_datagrams_received_total", "Datagrams received.", counters.datagrams_received),
            counter("transom_datagrams_sent_total", "Datagrams sent.", counters.datagrams_sent),
            counter("transom_datagrams_dropped_total", "Datagrams without room.", counters.datagrams_dropped),
            counter("transom_datagrams_expired_total", "Datagrams too old.", counters.datagrams_expired),
            counter("transom_udp_datagrams_received_total", "UDP datagrams.", counters.udp_datagrams_received),
            counter("transom_udp_bytes_received_total", "Bytes in them.", counters.udp_bytes_received),
            counter("transom_udp_datagrams_sent_total", "UDP datagrams.", counters.udp_datagrams_sent),
            counter("transom_udp_bytes_sent_total", "Bytes in them.", counters.udp_bytes_sent),
            counter(
                "transom_udp_datagrams_handed_on_total",
                "UDP datagrams that another worker received.",
                counters.udp_datagrams_handed_on,
            ),
        ];
        if let Some(end) = self.certificate.valid_until {
            figures.push(gauge("transom_certificate_end_seconds", "When the certificate ends, since 1970.", end));
        }
        figures
    }
}

/// The figure that each route has.
const ROUTES: &str = "transom_route_requests_total";
const ROUTES_HELP: &str = "Requests that found the route, those that were refused then included.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::judge::tests::quiet;

    #[test]
    fn routes_are_labels() {
        let mut diagnostics = quiet();
        let route = |pattern: &str, hits| RouteDiagnostics { pattern: pattern.to_owned(), hits };
        diagnostics.routes = vec![route("/a/{b}", 3), route("/\\d\"+", 1)];
        let text = diagnostics.to_prometheus();
        let lines: Vec<&str> = text.lines().rev().take(3).collect();
        assert_eq!(lines[2], format!("# TYPE {ROUTES} counter"));
        assert_eq!(lines[1], format!("{ROUTES}{{route=\"/a/{{b}}\"}} 3"));
        assert_eq!(lines[0], format!("{ROUTES}{{route=\"/\\\\d\\\"+\"}} 1"));
    }

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let mut diagnostics = quiet();
        diagnostics.counters.sessions_accepted = 7;
        let text = diagnostics.to_prometheus();
        assert!(text.contains("\n# TYPE transom_sessions_accepted_total counter\ntransom_sessions_accepted_total 7\n"));
        assert!(text.starts_with("# HELP transom_ready "), "{text}");
        for figure in text.split("# HELP ").skip(1) {
            let lines: Vec<&str> = figure.lines().collect();
            let name = lines[0].split(' ').next().unwrap();
            assert_eq!(lines.len(), 3, "{figure}");
            assert!(lines[1].starts_with(&format!("# TYPE {name} ")), "{figure}");
            assert_eq!(lines[1].ends_with("counter"), name.ends_with("_total"), "{figure}");
            lines[2].strip_prefix(&format!("{name} ")).unwrap().parse::<u64>().unwrap();
        }
    }
}
