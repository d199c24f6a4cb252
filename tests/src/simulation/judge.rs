//! Worlds run and judged, one by one or many at once.

use std::cell::RefCell;
use std::panic::{PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, mpsc};

use super::world::{Report, World};

/// Runs the world of a seed, twice if it is one in a hundred: the same seed must give the same trace.
///
/// # Errors
///
/// What went wrong; a panic inside the world is one of these things.
pub fn judge(seed: u64) -> Result<Report, String> {
    HOOK.call_once(note_panics);
    let report = run(seed)?;
    if seed.is_multiple_of(100) && run(seed)? != report {
        return Err("a second run of the same seed went another way".into());
    }
    Ok(report)
}

/// Judges the worlds of `count` seeds from `from` on, `jobs` at a time; `tell` hears of each, in no particular order.
pub fn judge_all(from: u64, count: u64, jobs: usize, mut tell: impl FnMut(u64, Result<Report, String>)) {
    let next = AtomicU64::new(0);
    let (sender, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let seed = from.wrapping_add(index);
                    let _ = sender.send((seed, judge(seed)));
                }
            });
        }
        drop(sender);
        for (seed, result) in results {
            tell(seed, result);
        }
    });
}

fn run(seed: u64) -> Result<Report, String> {
    INSIDE.set(true);
    let result = catch_unwind(|| World::run(seed));
    INSIDE.set(false);
    result.unwrap_or_else(|_| Err(format!("panicked: {}", PANIC.take())))
}

/// Panics inside worlds are kept, those outside go the usual way.
fn note_panics() {
    let usual = take_hook();
    set_hook(Box::new(move |info: &PanicHookInfo| {
        if INSIDE.get() {
            PANIC.set(info.to_string());
        } else {
            usual(info);
        }
    }));
}

static HOOK: Once = Once::new();

thread_local! {
    static INSIDE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}
