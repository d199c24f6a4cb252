//! Deadlines that the system keeps, beside the waiting.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// One deadline, told of by a descriptor that can be read then.
///
/// A thread that waits with a timeout has the system start a timer for each wait and take it back when a packet ends it: 0.35 of
/// the 8 µs that the system takes for a datagram, where one comes at a time. An alarm is set once and stays, and waits have no
/// timeout.
///
/// The descriptor need not be read: whoever watches it for edges is told each time that the alarm goes off.
#[derive(Debug)]
pub struct Alarm(OwnedFd);

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    ///
    /// What the system says, above all that there are too many open files; and always where it is not Linux.
    pub fn new() -> io::Result<Self> {
        system::create().map(Self)
    }

    /// Goes off after `duration`, rounded up to whole milliseconds, instead of when it was set to before.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set(&self, duration: Duration) -> io::Result<()> {
        // What is due within a millisecond ends one wait together. A duration of zero would switch the alarm off.
        let milliseconds = duration.as_nanos().div_ceil(1_000_000).max(1);
        system::set(&self.0, i64::try_from(milliseconds).unwrap_or(i64::MAX))
    }
}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// timerfd.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };

    pub(super) fn create() -> io::Result<OwnedFd> {
        Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
    }

    pub(super) fn set(alarm: &OwnedFd, milliseconds: i64) -> io::Result<()> {
        let it_value = Timespec { tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(alarm, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::io::{self, ErrorKind};
    use std::os::fd::OwnedFd;

    pub(super) fn create() -> io::Result<OwnedFd> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(super) fn set(_: &OwnedFd, _: i64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}
