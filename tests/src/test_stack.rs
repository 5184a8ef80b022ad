//! A test's own engines, with or without the product: the program `medhub-local` on a folder and ports of its own.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use medhub_local::{process::ProcessIdentity, stack_state};
use nix::sys::signal::Signal;
use tokio::sync::OnceCell;

use crate::{
    ProductHandle, blocking::run_blocking, failure::or_fail, medhub_local, stack_processes::list_processes,
    test_database, test_folder::TestFolder, test_turn,
};

/// Includes the time to fetch engines at the first start.
const START_LIMIT: Duration = Duration::from_mins(15);
const STOP_LIMIT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Environment variables for the program, in addition to those of this process.
pub type EnvironmentVariables = BTreeMap<String, String>;

/// Running engines. Dropping the stack kills them; they also end when this process ends, even by a crash.
///
/// Stacks are for tests that kill engines, start and stop them, or change their configuration; such a test counts as
/// two. All others share engines ([`engines`]) and use a [`crate::ProductInstance`].
#[derive(Debug)]
pub struct TestStack {
    product: ProductHandle,
    /// Removed with the stack; `None` for a stack that was attached to.
    _own_folder: Option<TestFolder>,
    args: Vec<String>,
    environment: EnvironmentVariables,
    child: Option<Child>,
}

impl TestStack {
    /// Starts engines and the product, and waits until all are ready.
    ///
    /// # Panics
    /// If the stack does not become ready; the message holds the end of its log.
    pub async fn start() -> Self {
        Self::start_with(&[], EnvironmentVariables::new()).await
    }

    /// Starts engines without the product.
    ///
    /// # Panics
    /// If the stack does not become ready.
    pub async fn start_engines() -> Self {
        Self::start_with(&["--engines-only"], EnvironmentVariables::new()).await
    }

    /// Starts a stack with more arguments of `medhub-local up` and more variables.
    ///
    /// # Panics
    /// If the stack does not become ready.
    pub async fn start_with(args: &[&str], environment: EnvironmentVariables) -> Self {
        test_turn::run_with_own_engines();
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        run_blocking(move || Self::start_in_new_folder(args, environment)).await
    }

    /// Uses the engines of a stack that runs already, and leaves it running.
    fn attach(data: PathBuf) -> Self {
        let state = or_fail(
            stack_state::StackState::read_running(&data),
            "attaching to the stack that MEDHUB_TEST_STACK names",
        );
        let product = ProductHandle::new(None, state.variables, data);
        Self { product, _own_folder: None, args: Vec::new(), environment: EnvironmentVariables::new(), child: None }
    }

    fn start_in_new_folder(args: Vec<String>, environment: EnvironmentVariables) -> Self {
        let folder = TestFolder::new();
        or_fail(fs::create_dir(folder.path().join("log")), "creating the folder for logs");
        let product = ProductHandle::new(None, BTreeMap::new(), folder.path().to_owned());
        let mut stack = Self { product, _own_folder: Some(folder), args, environment, child: None };
        stack.launch();
        stack
    }

    fn launch(&mut self) {
        let log = or_fail(File::options().create(true).append(true).open(self.log_path()), "opening the stack's log");
        let mut command = Command::new(medhub_local());
        command
            .args(["up", "--stop-at-input-end", "--data"])
            .arg(self.data_folder())
            .args(&self.args)
            .envs(&self.environment);
        let output = or_fail(log.try_clone(), "sharing the stack's log");
        command.stdin(Stdio::piped()).stdout(output).stderr(log);
        self.child = Some(or_fail(command.spawn(), "starting medhub-local"));
        let deadline = Instant::now() + START_LIMIT;
        while !self.read_state() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                panic!("medhub-local ended with {status}:\n{}", self.log_tail());
            }
            assert!(Instant::now() < deadline, "no stack within {START_LIMIT:?}:\n{}", self.log_tail());
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Reads addresses and settings from the state file, once the stack is ready.
    fn read_state(&mut self) -> bool {
        let pid = self.child.as_ref().map(Child::id);
        let Some(state) = stack_state::StackState::read_last(self.data_folder()) else { return false };
        let is_ready = state.ready && Some(state.supervisor.pid) == pid;
        if is_ready {
            self.product = ProductHandle::new(state.http, state.variables, self.data_folder().to_owned());
        }
        is_ready
    }

    /// The data folder.
    pub fn data_folder(&self) -> &Path {
        self.product.folder()
    }

    /// The stack's processes and their addresses, from the state file.
    ///
    /// # Panics
    /// If the state file cannot be read.
    pub fn state(&self) -> stack_state::StackState {
        let Some(state) = stack_state::StackState::read_last(self.data_folder()) else {
            panic!("{} has no stack.json", self.data_folder().display())
        };
        state
    }

    /// A command of `medhub-local` on this stack's folder, not started yet.
    pub fn local_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(medhub_local());
        command.arg("--data").arg(self.data_folder()).args(args).envs(&self.environment).stdin(Stdio::null());
        command
    }

    /// Kills every process of the stack at once, as a loss of power would, and waits until they are gone.
    ///
    /// # Panics
    /// If one of them survives.
    pub async fn kill9_all_processes(&mut self) {
        let state = self.state();
        let mut processes = vec![state.supervisor];
        for process in state.live_processes() {
            processes.push(process);
            processes.extend(process.child_pids().into_iter().filter_map(ProcessIdentity::from_pid));
        }
        for process in &processes {
            process.send_signal(Signal::SIGKILL);
        }
        self.wait_for_child();
        crate::eventually(async || {
            let left: Vec<_> = processes.iter().filter(|process| process.is_running()).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("still alive: {left:?}")) }
        })
        .await;
    }

    /// Kills only `medhub-local` and waits for its end, but not for that of its children.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn kill9_supervisor(&mut self) {
        self.state().supervisor.send_signal(Signal::SIGKILL);
        self.wait_for_child();
    }

    /// Starts the stack on the same folder again, after a stop or a kill.
    ///
    /// # Panics
    /// If the stack does not become ready.
    #[must_use]
    pub async fn restart(mut self) -> Self {
        run_blocking(move || {
            self.stop_blocking();
            self.launch();
            self
        })
        .await
    }

    /// Stops the stack gracefully.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn stop(mut self) -> (Self, ExitStatus) {
        run_blocking(move || {
            let Some(status) = self.stop_blocking() else { panic!("the stack does not run") };
            (self, status)
        })
        .await
    }

    fn stop_blocking(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        // Until the child has been waited for, its pid cannot be reused.
        if let Some(identity) = ProcessIdentity::from_pid(child.id()) {
            identity.send_signal(Signal::SIGTERM);
        }
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            if let Some(status) = or_fail(child.try_wait(), "waiting for medhub-local") {
                return Some(status);
            }
            if Instant::now() > deadline {
                or_fail(child.kill(), "killing medhub-local");
                panic!("medhub-local did not end within {STOP_LIMIT:?}:\n{}", self.log_tail());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn wait_for_child(&mut self) {
        if let Some(mut child) = self.child.take() {
            or_fail(child.wait(), "waiting for medhub-local");
        }
    }

    fn log_path(&self) -> PathBuf {
        self.data_folder().join("log/medhub-local.log")
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Deref for TestStack {
    type Target = ProductHandle;

    fn deref(&self) -> &ProductHandle {
        &self.product
    }
}

/// Kills `medhub-local`, with which its engines end at once: nothing needs their data any more, and a graceful end takes
/// seconds.
impl Drop for TestStack {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // A second panic would abort the whole test program, so a failing test ignores errors.
        let processes = if thread::panicking() { Vec::new() } else { list_processes(self) };
        let _killed = child.kill().and_then(|()| child.wait());
        // Their folder is removed next.
        let deadline = Instant::now() + STOP_LIMIT;
        while processes.iter().any(|process| process.is_running()) && Instant::now() < deadline {
            thread::sleep(POLL_INTERVAL);
        }
        assert!(
            !processes.iter().any(|process| process.is_running()),
            "engines run {STOP_LIMIT:?} after their supervisor's end"
        );
    }
}

/// The variable that names the data folder of a running stack, whose engines are used instead of new ones.
const RUNNING_STACK_VARIABLE: &str = "MEDHUB_TEST_STACK";

/// The engines that all tests of this process share: each test has a [`crate::TestNamespace`] of its own in them.
///
/// They are those of the stack whose data folder `MEDHUB_TEST_STACK` names; without it they are started for this
/// process and removed when it ends. From this call on the test runs beside others.
///
/// # Panics
/// If they do not become ready.
pub async fn engines() -> &'static TestStack {
    static SHARED: OnceCell<TestStack> = OnceCell::const_new();
    test_turn::run_beside_others();
    SHARED
        .get_or_init(async || {
            if let Some(data) = env::var_os(RUNNING_STACK_VARIABLE) {
                return TestStack::attach(data.into());
            }
            // Statics are never dropped: `--discard` removes the folder when this process ends.
            let args = ["--engines-only", "--discard"].map(str::to_owned).to_vec();
            let start = move || {
                fetch_missing_artifacts();
                TestStack::start_in_new_folder(args, EnvironmentVariables::new())
            };
            let stack = run_blocking(start).await;
            test_database::slow_down_autovacuum(stack.variable("DATABASE_URL")).await;
            stack
        })
        .await
}

/// Fetches what the cache lacks, also what only the product reads: engines that are started alone need no model, but the
/// products that tests start beside them do.
fn fetch_missing_artifacts() {
    let fetch = Command::new(medhub_local()).arg("fetch").stdin(Stdio::null()).output();
    let output = or_fail(fetch, "running medhub-local fetch");
    assert!(output.status.success(), "medhub-local fetch: {}", String::from_utf8_lossy(&output.stderr));
}
