use std::fmt;
use std::fs;

/// Resident memory of a process, in KiB, as the kernel counts it: shown, never judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// What is resident now.
    pub resident: u64,
    /// The most that has been.
    pub peak: u64,
}

impl Memory {
    /// Looks at a process; nothing where there is no `/proc` or no such process.
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Self { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }

    /// Lets the peak of a process count from now on, where the system can and allows it.
    pub(super) fn reset_peak(pid: u32) {
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB, at most {}", self.resident / 1024, self.peak / 1024)
    }
}
