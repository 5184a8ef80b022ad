//! Which tests may run at the same time.
//!
//! Tests that share engines run side by side. A test with engines of its own counts as two of them, and of such tests
//! only some run at a time: they mostly wait, for processes to start and for faults to end, so that the others, which
//! compute, have the processors meanwhile. There are more test threads than turns, because a test that waits for its turn
//! occupies a thread. A test of a promised time runs alone, so that nothing slows it down. A test takes its turn through
//! what it uses ([`crate::engines`], [`crate::ProductInstance`] or [`crate::TestStack`]) or by [`run_alone`], and holds
//! it until its thread ends: each test has a thread of its own.

use std::{
    cell::RefCell,
    env,
    fs::File,
    io::Write as _,
    sync::{Condvar, Mutex, PoisonError},
    thread,
    time::Instant,
};

/// The total weight of tests that may run at the same time; further tests wait. With 8 of them, two processors were idle for
/// a seventh of the time.
const MAX_WEIGHT: usize = 10;

/// The part of it for tests with engines of their own. With less, these tests are not over when all others are.
const MAX_OWN_ENGINES_WEIGHT: usize = 6;

#[derive(Debug, Default)]
struct RunningTests {
    weight: usize,
    /// The part of it of tests with engines of their own.
    own_engines_weight: usize,
    /// Number of tests that wait to run alone; no other test starts before them.
    waiting_alone: usize,
    /// Number of tests with engines of their own that wait: their part of the machine is kept for them.
    waiting_own_engines: usize,
}

static RUNNING_TESTS: Mutex<RunningTests> =
    Mutex::new(RunningTests { weight: 0, own_engines_weight: 0, waiting_alone: 0, waiting_own_engines: 0 });
static RUNNING_TESTS_CHANGED: Condvar = Condvar::new();

/// The share of the machine that a test uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MachineShare {
    SharedEngines,
    OwnEngines,
    WholeMachine,
}

impl MachineShare {
    fn weight(self) -> usize {
        match self {
            Self::SharedEngines => 1,
            Self::OwnEngines => 2,
            Self::WholeMachine => MAX_WEIGHT,
        }
    }

    fn own_engines_weight(self) -> usize {
        if self == Self::OwnEngines { self.weight() } else { 0 }
    }

    fn name(self) -> &'static str {
        match self {
            Self::SharedEngines => "shared",
            Self::OwnEngines => "own",
            Self::WholeMachine => "alone",
        }
    }
}

/// Ends the turn of a thread when the thread ends.
#[derive(Debug)]
struct TurnGuard {
    share: MachineShare,
    began_at: Instant,
}

thread_local! {
    static CURRENT_TURN: RefCell<Option<TurnGuard>> = const { RefCell::new(None) };
}

/// Waits for a turn beside others, unless the test has one already.
pub fn run_beside_others() {
    take_turn(MachineShare::SharedEngines);
}

/// Waits for a turn with engines of the test's own.
///
/// # Panics
/// If the test uses shared engines already: it has to start its own first.
pub fn run_with_own_engines() {
    take_turn(MachineShare::OwnEngines);
}

/// Waits until no other test runs; all others wait until this test ends.
///
/// # Panics
/// If the test has a turn beside others: it has to call this before it uses any engines.
pub fn run_alone() {
    take_turn(MachineShare::WholeMachine);
}

fn take_turn(share: MachineShare) {
    CURRENT_TURN.with_borrow_mut(|held| match held {
        Some(turn) if turn.share.weight() >= share.weight() => {}
        // A test that waits for a larger share while it holds one could deadlock with another that does the same.
        Some(turn) => panic!("a test that runs as `{}` cannot become `{}`", turn.share.name(), share.name()),
        None => *held = Some(TurnGuard::wait_for(share)),
    });
}

impl TurnGuard {
    fn wait_for(share: MachineShare) -> Self {
        let is_alone = share == MachineShare::WholeMachine;
        let mut running = RUNNING_TESTS.lock().unwrap_or_else(PoisonError::into_inner);
        running.waiting_alone += usize::from(is_alone);
        running.waiting_own_engines += usize::from(share == MachineShare::OwnEngines);
        let must_wait = |running: &mut RunningTests| {
            let reserved = match share {
                MachineShare::SharedEngines if running.waiting_own_engines > 0 => {
                    MAX_OWN_ENGINES_WEIGHT - running.own_engines_weight
                }
                MachineShare::SharedEngines | MachineShare::OwnEngines | MachineShare::WholeMachine => 0,
            };
            running.weight + share.weight() + reserved > MAX_WEIGHT
                || running.own_engines_weight + share.own_engines_weight() > MAX_OWN_ENGINES_WEIGHT
                || (!is_alone && running.waiting_alone > 0)
        };
        let mut running = RUNNING_TESTS_CHANGED.wait_while(running, must_wait).unwrap_or_else(PoisonError::into_inner);
        running.waiting_alone -= usize::from(is_alone);
        running.waiting_own_engines -= usize::from(share == MachineShare::OwnEngines);
        running.weight += share.weight();
        running.own_engines_weight += share.own_engines_weight();
        Self { share, began_at: Instant::now() }
    }

    /// Best effort: a time that cannot be written fails no test.
    fn record_time(&self) {
        let Some(file) = env::var_os(TIMES_VARIABLE) else { return };
        let (thread, seconds) = (thread::current(), self.began_at.elapsed().as_secs_f64());
        let line = format!("{seconds:.1}\t{}\t{}\n", self.share.name(), thread.name().unwrap_or("?"));
        let file = File::options().create(true).append(true).open(file);
        let _written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        let mut running = RUNNING_TESTS.lock().unwrap_or_else(PoisonError::into_inner);
        running.weight -= self.share.weight();
        running.own_engines_weight -= self.share.own_engines_weight();
        drop(running);
        RUNNING_TESTS_CHANGED.notify_all();
        self.record_time();
    }
}

/// The variable that names a file to which each test adds a line: seconds, `shared`, `own` or `alone`, and its name.
const TIMES_VARIABLE: &str = "MEDHUB_TEST_TIMES";

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Barrier, LazyLock,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn a_test_that_runs_alone_excludes_all_others_and_the_others_run_together() {
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        static ALL_RUNNING: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(3));
        let alone = || {
            run_alone();
            run_alone();
            assert_eq!(INSIDE.swap(100, Ordering::SeqCst), 0);
            thread::sleep(Duration::from_millis(5));
            assert_eq!(INSIDE.swap(0, Ordering::SeqCst), 100);
        };
        let beside_others = move || {
            run_beside_others();
            run_beside_others();
            INSIDE.fetch_add(1, Ordering::SeqCst);
            // Passes only while all three hold their turn; then one of them starts a test that waits to run alone.
            let waiting = ALL_RUNNING.wait().is_leader().then(|| thread::spawn(alone));
            INSIDE.fetch_sub(1, Ordering::SeqCst);
            waiting
        };
        for _ in 0..3 {
            let threads: Vec<_> = (0..3).map(|_| thread::spawn(beside_others)).collect();
            let waiting: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
            assert_eq!(waiting.len(), 1);
            for alone in waiting {
                alone.join().unwrap();
            }
        }
    }

    #[test]
    fn running_alone_after_using_shared_engines_panics() {
        let refused = thread::spawn(|| {
            run_beside_others();
            run_alone();
        });
        let panic = refused.join().unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("cannot become `alone`"));
    }
}
