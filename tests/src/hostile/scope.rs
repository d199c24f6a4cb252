use std::fmt;

/// For whom a case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Every server: an RFC or a draft that the server speaks says what is right, or good service does.
    #[default]
    Everyone,
    /// Transom's own limits, deadlines, budget and policies: another server may have others.
    OwnLimits,
    /// Routes that only `transom demo` has.
    OwnRoutes,
    /// A rule that came with a draft after those that the other servers speak.
    NewDraft,
}

impl Scope {
    /// Whether a case counts for a server that is not ours.
    pub fn counts_for_others(self) -> bool {
        self == Self::Everyone
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everyone => "everyone",
            Self::OwnLimits => "our limits and policies",
            Self::OwnRoutes => "our routes",
            Self::NewDraft => "newer drafts",
        })
    }
}
