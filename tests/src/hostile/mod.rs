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
mod order;
mod qpack;
mod reaction;
mod request;
mod run;
mod script;
mod sessions;
mod settings;
mod slow;
mod streams;
mod udp;
mod windows;

use std::net::SocketAddr;

pub use reaction::Reaction;
pub use run::{Outcome, Row, run, run_on_own_server};

use crate::raw::Failure;

/// What is attacked.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server's UDP address.
    pub address: SocketAddr,
    /// The origin of the server's own page, if it is known.
    pub web: Option<String>,
}

/// One bad input and the reactions it may get.
pub struct Case {
    /// The rows of the catalogue that it covers.
    pub rows: &'static str,
    /// What is sent, in words.
    pub name: String,
    /// The reactions that are right.
    pub expected: Vec<Reaction>,
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
}

impl Case {
    fn new(
        rows: &'static str,
        name: impl Into<String>,
        expected: &[Reaction],
        attack: impl Fn(&Scene<'_>) -> Result<Reaction, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self { rows, name: name.into(), expected: expected.to_vec(), slow: false, attack: Box::new(attack) }
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
        (self.attack)(&Scene { target, expected: &self.expected, slow: self.slow })
    }
}

/// All cases, in the order of the catalogue.
pub fn table() -> Vec<Case> {
    let parts = [
        udp::cases(),
        frames::cases(),
        order::cases(),
        settings::cases(),
        qpack::cases(),
        request::cases(),
        capsules::cases(),
        streams::cases(),
        datagrams::cases(),
        sessions::cases(),
        flow::cases(),
        credit::cases(),
        windows::cases(),
        slow::cases(),
    ];
    parts.into_iter().flatten().collect()
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
