//! A stack of real engines for a test: the program `medhub-local` on a folder and ports of its own.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use medhub_local::{process::Identity, state};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A start may have to fetch engines first.
const START_LIMIT: Duration = Duration::from_mins(15);
const STOP_LIMIT: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Variables for the program, on top of this process's own.
pub type Environment = BTreeMap<OsString, OsString>;

/// A running stack; dropping it stops it. It also ends with this process, however that ends.
#[derive(Debug)]
pub struct Stack {
    folder: TempDir,
    args: Vec<String>,
    environment: Environment,
    child: Option<Child>,
}

impl Stack {
    /// Starts engines and the product, and waits until all are ready.
    ///
    /// # Panics
    /// If the stack does not come up; the text holds the end of its log.
    pub async fn start() -> Self {
        Self::with(&[], Environment::new()).await
    }

    /// Starts a stack of a test's own without the product.
    ///
    /// # Panics
    /// If the stack does not come up.
    pub async fn start_engines() -> Self {
        Self::with(&["--engines-only"], Environment::new()).await
    }

    /// Starts a stack with more arguments of `medhub-local up` and more variables.
    ///
    /// # Panics
    /// If the stack does not come up.
    pub async fn with(args: &[&str], environment: Environment) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        blocking(move || Self::bring_up(args, environment)).await
    }

    fn bring_up(args: Vec<String>, environment: Environment) -> Self {
        let folder = in_test(tempfile::Builder::new().prefix("medhub-test-").tempdir(), "making a folder");
        // Postgres runs as another user when the tests run as root.
        in_test(fs::set_permissions(folder.path(), Permissions::from_mode(0o755)), "opening the folder");
        in_test(fs::create_dir(folder.path().join("log")), "making a folder for logs");
        let mut stack = Self { folder, args, environment, child: None };
        stack.launch();
        stack
    }

    fn launch(&mut self) {
        let log = in_test(File::options().create(true).append(true).open(self.log()), "opening the stack's log");
        let mut command = Command::new(medhub_local());
        command.args(["up", "--leash", "--data"]).arg(self.data()).args(&self.args).envs(&self.environment);
        let output = in_test(log.try_clone(), "sharing the stack's log");
        command.stdin(Stdio::piped()).stdout(output).stderr(log);
        self.child = Some(in_test(command.spawn(), "starting medhub-local"));
        let deadline = Instant::now() + START_LIMIT;
        while !self.is_ready() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                panic!("medhub-local ended with {status}:\n{}", self.last_words());
            }
            assert!(Instant::now() < deadline, "no stack within {START_LIMIT:?}:\n{}", self.last_words());
            thread::sleep(PAUSE);
        }
    }

    fn is_ready(&self) -> bool {
        let pid = self.child.as_ref().map(Child::id);
        state::Stack::last(self.data()).is_some_and(|state| state.ready && Some(state.supervisor.pid) == pid)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// What runs where.
    ///
    /// # Panics
    /// If the state file cannot be read.
    pub fn state(&self) -> state::Stack {
        let Some(state) = state::Stack::last(self.data()) else {
            panic!("{} has no stack.json", self.data().display())
        };
        state
    }

    /// The variables that make a program use this stack, such as `DATABASE_URL`.
    pub fn urls(&self) -> BTreeMap<String, String> {
        self.state().variables
    }

    /// One of [`Self::urls`].
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn url(&self, variable: &str) -> String {
        let urls = self.urls();
        let Some(url) = urls.get(variable) else { panic!("the stack has no {variable}: {urls:?}") };
        url.clone()
    }

    /// A command of `medhub-local` on this stack's folder, to be run by the caller.
    pub fn local(&self, args: &[&str]) -> Command {
        let mut command = Command::new(medhub_local());
        command.arg("--data").arg(self.data()).args(args).envs(&self.environment).stdin(Stdio::null());
        command
    }

    /// Runs a command of the product's command line against this stack.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn medhub(&self, args: &[&str]) -> Output {
        let mut command = self.local(&[&["medhub"], args].concat());
        blocking(move || in_test(command.output(), "running medhub")).await
    }

    /// Asks the product as its operator; the answer holds `data`, `errors` or both.
    ///
    /// # Panics
    /// If the product does not run or does not answer in JSON.
    pub async fn graphql(&self, query: &str, variables: Value) -> Value {
        self.graphql_with(Some(&self.operators_token()), query, variables).await
    }

    /// What an operator of the product shows.
    ///
    /// # Panics
    /// If the product does not run.
    pub fn operators_token(&self) -> String {
        self.url("MEDHUB__ADMIN__TOKEN")
    }

    /// Asks the product, showing a bearer token, or nothing.
    ///
    /// # Panics
    /// As [`Self::graphql`].
    pub async fn graphql_with(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        self.ask(token, &json!({ "query": query, "variables": variables })).await
    }

    /// Asks for an answer that is at least as new as a consistency token says.
    ///
    /// # Panics
    /// As [`Self::graphql`].
    pub async fn graphql_within(&self, token: &str, query: &str, variables: Value) -> Value {
        let extensions = json!({ "consistencyToken": token });
        let token = self.operators_token();
        self.ask(Some(&token), &json!({ "query": query, "variables": variables, "extensions": extensions })).await
    }

    async fn ask(&self, token: Option<&str>, body: &Value) -> Value {
        let mut request = reqwest::Client::new().post(format!("{}/graphql", self.http())).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        in_test(in_test(request.send().await, "asking GraphQL").json().await, "reading GraphQL's answer")
    }

    /// The product's address.
    ///
    /// # Panics
    /// If it does not run.
    pub fn http(&self) -> String {
        let Some(http) = self.state().http else { panic!("this stack runs without the product") };
        http
    }

    /// Kills every process of the stack at once, as a loss of power would, and waits until they are gone.
    ///
    /// # Panics
    /// If one of them survives.
    pub async fn kill9_everything(&mut self) {
        let state = self.state();
        let mut processes = vec![state.supervisor];
        for process in state.living() {
            processes.push(process);
            processes.extend(process.children().into_iter().filter_map(Identity::of));
        }
        for process in &processes {
            process.send(Signal::SIGKILL);
        }
        self.reap();
        crate::eventually(Duration::from_secs(10), async || {
            let left: Vec<_> = processes.iter().filter(|process| process.alive()).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("still alive: {left:?}")) }
        })
        .await;
    }

    /// Kills `medhub-local` alone, and waits for it, but for none of its children.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn kill9_supervisor(&mut self) {
        self.state().supervisor.send(Signal::SIGKILL);
        self.reap();
    }

    /// Starts the stack on the same folder again, after a stop or a kill.
    ///
    /// # Panics
    /// If the stack does not come up.
    #[must_use]
    pub async fn restart(mut self) -> Self {
        blocking(move || {
            self.stop_now();
            self.launch();
            self
        })
        .await
    }

    /// Stops the stack in good order.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn stop(mut self) -> (Self, ExitStatus) {
        blocking(move || {
            let Some(status) = self.stop_now() else { panic!("the stack does not run") };
            (self, status)
        })
        .await
    }

    fn stop_now(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        // While nobody has waited for it, the pid is still the child's.
        if let Some(identity) = Identity::of(child.id()) {
            identity.send(Signal::SIGTERM);
        }
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            if let Some(status) = in_test(child.try_wait(), "waiting for medhub-local") {
                return Some(status);
            }
            if Instant::now() > deadline {
                in_test(child.kill(), "killing medhub-local");
                panic!("medhub-local did not end within {STOP_LIMIT:?}:\n{}", self.last_words());
            }
            thread::sleep(PAUSE);
        }
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            in_test(child.wait(), "waiting for medhub-local");
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log/medhub-local.log")
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if thread::panicking() {
            // A panic while panicking ends all tests; nothing here may panic, and nobody needs the data.
            let _unneeded = self.child.take().map(|mut child| child.kill().and_then(|()| child.wait()));
        } else {
            self.stop_now();
        }
    }
}

/// The one stack of engines that all tests of this process share. Each test takes a database, topics, tables, a
/// collection and keys of its own in it.
///
/// # Panics
/// If the stack does not come up.
pub async fn engines() -> &'static Stack {
    static SHARED: OnceLock<Stack> = OnceLock::new();
    // Statics are never dropped: the program itself clears up when this process ends.
    let args = ["--engines-only", "--discard"].map(str::to_owned).to_vec();
    let start = || Stack::bring_up(args, Environment::new());
    blocking(move || SHARED.get_or_init(start)).await
}

/// The program under test, built beside the test's own executable or in the folder above it.
///
/// # Panics
/// If it is not there.
pub fn medhub_local() -> PathBuf {
    let test = in_test(env::current_exe(), "finding this test's executable");
    let folders = test.ancestors().skip(1).take(2);
    let mut candidates: Vec<_> = folders.map(|folder| folder.join("medhub-local")).collect();
    candidates.sort_by_key(|program| !program.exists());
    let program = candidates.swap_remove(0);
    assert!(program.exists(), "{} is not there: run `cargo build --workspace --bins` first", program.display());
    program
}

/// Runs blocking work beside the test's runtime, and its panics in the test.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(panicked) => panic!("{}", told(panicked)),
    }
}

fn told(error: tokio::task::JoinError) -> String {
    let Ok(panicked) = error.try_into_panic() else { return "the harness was cancelled".to_owned() };
    let text = panicked.downcast_ref::<String>().cloned();
    text.or_else(|| panicked.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn in_test<T, E: std::fmt::Debug>(result: Result<T, E>, doing: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{doing}: {error:?}"),
    }
}
