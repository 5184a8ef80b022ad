//! Which tests may run at the same time.
//!
//! Tests that share engines run side by side, as many as there are test threads. A test with engines of its own weighs as
//! much as two of them. A test that promises a time runs alone, so that nothing slows it down. A test takes its turn by
//! what it uses ([`crate::engines`], [`crate::ProductInstance`] or [`crate::TestStack`]) or by [`run_alone`], and holds it
//! until its thread ends, as each test has a thread of its own.

use std::{
    cell::RefCell,
    env,
    fs::File,
    io::Write as _,
    sync::{Condvar, Mutex, PoisonError},
    thread,
    time::Instant,
};

/// How much may run at the same time; more test threads than this wait.
const CAPACITY: usize = 4;

#[derive(Debug, Default)]
struct RunningTests {
    weight: usize,
    /// How many wait to run alone: nothing else starts before them.
    waiting: usize,
}

static RUNNING: Mutex<RunningTests> = Mutex::new(RunningTests { weight: 0, waiting: 0 });
static CHANGED: Condvar = Condvar::new();

/// What a test uses of the machine.
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
            Self::WholeMachine => CAPACITY,
        }
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
    began: Instant,
}

thread_local! {
    static HELD: RefCell<Option<TurnGuard>> = const { RefCell::new(None) };
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

/// Waits until no other test runs, and keeps all others waiting until this test ends.
///
/// # Panics
/// If the test has a turn beside others: it has to call this before it uses any engines.
pub fn run_alone() {
    take_turn(MachineShare::WholeMachine);
}

fn take_turn(share: MachineShare) {
    HELD.with_borrow_mut(|held| match held {
        Some(turn) if turn.share.weight() >= share.weight() => {}
        // Waiting for more while holding some could wait for another test that does the same.
        Some(turn) => panic!("a test that runs as `{}` cannot become `{}`", turn.share.name(), share.name()),
        None => *held = Some(TurnGuard::wait_for(share)),
    });
}

impl TurnGuard {
    fn wait_for(share: MachineShare) -> Self {
        let is_alone = share == MachineShare::WholeMachine;
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.waiting += usize::from(is_alone);
        let is_barred = |running: &mut RunningTests| {
            running.weight + share.weight() > CAPACITY || (!is_alone && running.waiting > 0)
        };
        let mut running = CHANGED.wait_while(running, is_barred).unwrap_or_else(PoisonError::into_inner);
        running.waiting -= usize::from(is_alone);
        running.weight += share.weight();
        Self { share, began: Instant::now() }
    }

    /// Best effort: what a test took is for people, and fails no test.
    fn record_time(&self) {
        let Some(file) = env::var_os(TIMES) else { return };
        let (thread, seconds) = (thread::current(), self.began.elapsed().as_secs_f64());
        let line = format!("{seconds:.1}\t{}\t{}\n", self.share.name(), thread.name().unwrap_or("?"));
        let file = File::options().create(true).append(true).open(file);
        let _written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.weight -= self.share.weight();
        drop(running);
        CHANGED.notify_all();
        self.record_time();
    }
}

/// Names a file that gets a line for each test: seconds, `shared`, `own` or `alone`, and its name.
const TIMES: &str = "MEDHUB_TEST_TIMES";

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
    fn a_test_that_runs_alone_meets_no_other_and_the_others_meet_each_other() {
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        static MEETING: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(3));
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
            // Passed only while all three hold their turn; one that wants to run alone comes when they have it.
            let waits = MEETING.wait().is_leader().then(|| thread::spawn(alone));
            INSIDE.fetch_sub(1, Ordering::SeqCst);
            waits
        };
        for _ in 0..3 {
            let threads: Vec<_> = (0..3).map(|_| thread::spawn(beside_others)).collect();
            let waits: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
            assert_eq!(waits.len(), 1);
            for alone in waits {
                alone.join().unwrap();
            }
        }
    }

    #[test]
    fn shared_engines_are_not_used_before_running_alone() {
        let refused = thread::spawn(|| {
            run_beside_others();
            run_alone();
        });
        let panic = refused.join().unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("cannot become `alone`"));
    }
}
