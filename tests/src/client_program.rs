//! Client programs in other languages: Python with packages, and programs that a test runs to their end.

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
pub fn python_command(packages: &[&str]) -> Command {
    // Tests run side by side, and two of them may want the same packages.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let scratch = scratch_folder();
    let folder = scratch.join(packages.join("_").replace(['=', '.'], "-"));
    let marker = folder.join("installed");
    let installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if !marker.exists() {
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target"];
        run_program(Command::new("python3").args(install).arg(&folder).args(packages));
        or_fail(fs::write(marker, ""), "recording that packages are installed");
    }
    drop(installing);
    let mut python = Command::new("python3");
    // Caches that a program writes must not land in a source folder.
    python.env("PYTHONPATH", folder).current_dir(scratch);
    python
}

/// Cargo's folder for files that tests write (`CARGO_TARGET_TMPDIR`), found from the test's executable.
fn scratch_folder() -> PathBuf {
    let test = or_fail(env::current_exe(), "finding this test's executable");
    let target = test.ancestors().nth(3).map(PathBuf::from).unwrap_or_default();
    let folder = target.join("tmp");
    or_fail(fs::create_dir_all(&folder), "creating the folder for files that tests write");
    folder
}

/// Runs a program to its end, and returns its output, standard error last.
///
/// # Panics
/// If it fails; the message holds its output.
pub fn run_program(command: &mut Command) -> String {
    let output = or_fail(command.output(), "running a program");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {text}");
    text
}
