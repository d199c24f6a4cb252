//! Bad inputs, each with the reaction it must get, against a running server.
//!
//! The rows are those of the catalogue of bad inputs (`59`, `155` …) and of the conformance checks for HTTP/3 (`h35` …);
//! a case may cover several. Every case runs on its own connection. Beside all of them a [control group](run()) of
//! well-behaved sessions echoes on other connections, and on the attacker's own connection the other streams and
//! sessions must live on unless the reaction is to close the connection.

mod attacker;
mod capsules;
mod control_group;
mod credit;
mod datagrams;
mod flow;
mod frames;
mod left_over;
mod memory;
mod order;
mod outcome;
mod page;
mod place;
mod qpack;
mod reaction;
mod request;
mod run;
mod scope;
mod script;
mod server;
mod sessions;
mod settings;
mod slow;
mod streams;
mod udp;
mod verdict;
mod windows;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use memory::Memory;
pub use outcome::{Outcome, Row, Sum};
pub use page::page;
pub use place::Place;
pub use reaction::Reaction;
pub use run::{Pace, run};
pub use scope::Scope;
pub use server::{Kind, Server};
pub use verdict::Verdict;

use crate::raw::Failure;

/// What is attacked.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server's UDP address.
    pub address: SocketAddr,
    /// The origin of the server's own page, if it is known.
    pub web: Option<String>,
    /// How long to wait for something that must come.
    pub patience: Duration,
    /// After how long a case is given up.
    pub limit: Duration,
}

impl Target {
    /// A server at this address, with a page of this origin, and waits long enough for a busy machine.
    pub fn new(address: SocketAddr, web: Option<String>) -> Self {
        Self { address, web, patience: PATIENCE, limit: LIMIT }
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(120);

/// One bad input and the reactions it may get.
pub struct Case {
    /// What it is about; cases of an area are counted together.
    pub area: &'static str,
    /// The rows of the catalogue that it covers.
    pub rows: &'static str,
    /// What is sent, in words.
    pub name: String,
    /// The reactions that are right.
    pub expected: Vec<Reaction>,
    /// For whom it counts.
    pub scope: Scope,
    /// It floods the server's socket; what others send may be lost meanwhile, so that it runs before all others.
    pub alone: bool,
    /// It waits for a deadline of the server; it runs on a thread of its own.
    pub slow: bool,
    attack: Box<Attack>,
}

type Attack = dyn Fn(&Scene<'_>) -> Result<Reaction, Failure> + Send + Sync;

/// What an attack gets to work with.
struct Scene<'a> {
    target: &'a Target,
    expected: &'a [Reaction],
    slow: bool,
    /// When the case is given up.
    end: Instant,
}

impl Case {
    fn new(
        rows: &'static str,
        name: impl Into<String>,
        expected: &[Reaction],
        attack: impl Fn(&Scene<'_>) -> Result<Reaction, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            area: "",
            rows,
            name: name.into(),
            expected: expected.to_vec(),
            scope: Scope::Everyone,
            alone: false,
            slow: false,
            attack: Box::new(attack),
        }
    }

    /// Says for whom the case counts, if not for everyone.
    fn counts_for(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    /// Attacks the target and says how it reacted.
    ///
    /// # Errors
    /// Something else than a reaction happened: the message says what.
    pub fn attack(&self, target: &Target) -> Result<Reaction, Failure> {
        let end = Instant::now() + target.limit;
        (self.attack)(&Scene { target, expected: &self.expected, slow: self.slow, end })
    }
}

/// All cases, in the order of the catalogue.
pub fn table() -> Vec<Case> {
    let parts = [
        ("UDP and QUIC", udp::cases()),
        ("HTTP/3 streams and frames", frames::cases()),
        ("HTTP/3 order and load", order::cases()),
        ("SETTINGS and drafts", settings::cases()),
        ("QPACK", qpack::cases()),
        ("requests", request::cases()),
        ("capsules and the end of sessions", capsules::cases()),
        ("WebTransport streams", streams::cases()),
        ("datagrams", datagrams::cases()),
        ("sessions on a connection", sessions::cases()),
        ("session flow control", flow::cases()),
        ("flow control credit", credit::cases()),
        ("clients that grant little", windows::cases()),
        ("deadlines", slow::cases()),
    ];
    let named = |(area, cases): (&'static str, Vec<Case>)| cases.into_iter().map(move |case| Case { area, ..case });
    parts.into_iter().flat_map(named).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_case_has_a_name_of_its_own_and_a_reaction() {
        let table = super::table();
        let names: BTreeSet<&str> = table.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), table.len(), "two cases share a name");
        assert!(table.iter().all(|case| !case.expected.is_empty() && !case.rows.is_empty()));
    }
}
