//! What came of a world.

use std::fmt;
use std::ops::AddAssign;

/// What came of one world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Hash over everything that happened; the same for the same seed.
    pub trace: u64,
    /// How often what happened.
    pub counts: Counts,
}

/// How often what happened, in one world or many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Well-behaved clients.
    pub clients: u64,
    /// Misbehaving clients.
    pub offenders: u64,
    /// Misdeeds of theirs.
    pub misdeeds: u64,
    /// Offenders whose connection the server closed.
    pub expelled: u64,
    /// Sessions between well-behaved peers.
    pub sessions: u64,
    /// Requests the application refused.
    pub refused: u64,
    /// Directions of streams between well-behaved peers.
    pub streams: u64,
    /// Bytes that arrived on them.
    pub bytes: u64,
    /// Datagrams that arrived.
    pub datagrams: u64,
    /// Streams reset by their writer.
    pub resets: u64,
    /// Streams stopped by their reader.
    pub stops: u64,
    /// Changes of a client's address.
    pub rebindings: u64,
    /// Times with no network at all in one or both directions.
    pub holes: u64,
    /// Changes of a path's MTU or of all it does.
    pub path_changes: u64,
    /// Connections that ended because nothing was heard or agreed in time.
    pub silent: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.clients += other.clients;
        self.offenders += other.offenders;
        self.misdeeds += other.misdeeds;
        self.expelled += other.expelled;
        self.sessions += other.sessions;
        self.refused += other.refused;
        self.streams += other.streams;
        self.bytes += other.bytes;
        self.datagrams += other.datagrams;
        self.resets += other.resets;
        self.stops += other.stops;
        self.rebindings += other.rebindings;
        self.holes += other.holes;
        self.path_changes += other.path_changes;
        self.silent += other.silent;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("well-behaved clients", self.clients),
            ("misbehaving clients", self.offenders),
            ("  misdeeds", self.misdeeds),
            ("  expelled", self.expelled),
            ("sessions", self.sessions),
            ("  refused", self.refused),
            ("stream directions", self.streams),
            ("  bytes", self.bytes),
            ("  resets", self.resets),
            ("  stops", self.stops),
            ("datagrams", self.datagrams),
            ("rebindings", self.rebindings),
            ("black holes and cuts", self.holes),
            ("path changes", self.path_changes),
            ("connections lost to silence", self.silent),
        ];
        lines.iter().try_for_each(|(name, count)| writeln!(f, "{name:28}{count:>14}"))
    }
}
