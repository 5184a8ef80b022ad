//! Programs of other languages that act as clients: Python packages, and what a test runs to its end.

use std::{
    env, fs,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
};

use crate::failure::or_fail;

/// `python3` with these packages, which are installed once into a folder of their own.
///
/// # Panics
/// If they cannot be installed.
pub fn python(packages: &[&str]) -> Command {
    // Tests run side by side, and two of them may want the same packages.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let scratch = scratch_folder();
    let folder = scratch.join(packages.join("_").replace(['=', '.'], "-"));
    let done = folder.join("installed");
    let installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if !done.exists() {
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target"];
        run_to_end(Command::new("python3").args(install).arg(&folder).args(packages));
        or_fail(fs::write(done, ""), "noting that packages are installed");
    }
    drop(installing);
    let mut python = Command::new("python3");
    // What a program remembers of its runs belongs to no source folder.
    python.env("PYTHONPATH", folder).current_dir(scratch);
    python
}

/// The folder beside the tests' executables that cargo keeps for what tests write (`CARGO_TARGET_TMPDIR`).
fn scratch_folder() -> PathBuf {
    let test = or_fail(env::current_exe(), "finding this test's executable");
    let target = test.ancestors().nth(3).map(PathBuf::from).unwrap_or_default();
    let folder = target.join("tmp");
    or_fail(fs::create_dir_all(&folder), "making a folder for what tests write");
    folder
}

/// Runs a program to its end, and returns all that it printed.
///
/// # Panics
/// If it fails; the text is what it printed.
pub fn run_to_end(command: &mut Command) -> String {
    let output = or_fail(command.output(), "running a program");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {text}");
    text
}
