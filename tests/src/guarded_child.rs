//! Processes that end when the test program ends, even by a crash.

use std::{
    ffi::OsStr,
    io,
    path::Path,
    process::{Child, Command},
    sync::{
        OnceLock,
        mpsc::{self, Sender},
    },
    thread,
};

use crate::medhub_local;

type SpawnRequest = Box<dyn FnOnce() + Send>;

/// The command of a build of `medhub-local` that becomes the product, and is killed when the test program ends.
pub(crate) fn product_command(program: &Path, args: &[String]) -> Command {
    let mut command = command(program);
    command.arg("product").args(args);
    command
}

/// The command of `medhub-local` that becomes this program, and is killed when the test program ends.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(medhub_local());
    command.args(["guard", "--parent", &std::process::id().to_string(), "--signal", "SIGKILL", "--"]).arg(program);
    command
}

/// Starts a guarded command on a thread that lives as long as the test program.
///
/// Linux ends a guarded process with the *thread* that started it, and the thread of a test ends with the test, which a
/// product that several tests share must not.
pub(crate) fn spawn_guarded(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<SpawnRequest>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, queue) = mpsc::channel::<SpawnRequest>();
        thread::spawn(move || queue.into_iter().for_each(|request| request()));
        requests
    });
    let thread_ended = || io::Error::other("the thread that starts processes has ended");
    let (sender, child) = mpsc::channel();
    spawner
        .send(Box::new(move || {
            // Fails only if the caller has ended, and then the child is not needed either.
            let _sent = sender.send(command.spawn());
        }))
        .map_err(|_| thread_ended())?;
    child.recv().map_err(|_| thread_ended())?
}
