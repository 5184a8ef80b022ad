//! The program under test.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::failure::or_fail;

/// The path of `medhub-local`, which holds the product too.
///
/// Under cargo it is built first, so that a test never runs a program older than its sources. That takes less than a
/// second if nothing has changed; the tests' package does not depend on the product, so it is not compiled again with
/// it.
///
/// # Panics
/// If it cannot be built, or is missing.
pub fn medhub_local() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(find_program).clone()
}

fn find_program() -> PathBuf {
    let test = or_fail(env::current_exe(), "finding this test's executable");
    // `target/debug/deps/it-..` for a test, `target/debug/medhub-faults` for a program of this package.
    let Some(folder) = test.ancestors().skip(1).take(2).find(|folder| !folder.ends_with("deps")) else {
        panic!("{} is not in a target folder", test.display())
    };
    // Nextest builds all programs of the workspace, and starts a process for each test.
    if let (Some(cargo), None) = (env::var_os("CARGO"), env::var_os("NEXTEST")) {
        build_program(Path::new(&cargo), folder);
    }
    let program = folder.join("medhub-local");
    assert!(program.exists(), "{} is missing: run `cargo build --workspace --bins` first", program.display());
    program
}

fn build_program(cargo: &Path, folder: &Path) {
    let (Some(target), Some(name)) = (folder.parent(), folder.file_name()) else { return };
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "-p", "medhub-local-program", "--target-dir"]).arg(target);
    build.arg("--profile").arg(if name == "debug" { "dev".as_ref() } else { name });
    // Cargo sets variables that describe this package for its tests. A build script that reads them would run again
    // when they differ, and its dependents would be compiled again: here, and again in the next build outside of a
    // test.
    for (variable, _) in env::vars_os().filter(|(variable, _)| describes_package(&variable.to_string_lossy())) {
        build.env_remove(variable);
    }
    let status = or_fail(build.current_dir(env!("CARGO_MANIFEST_DIR")).status(), "running cargo");
    assert!(status.success(), "medhub-local cannot be built: {status}");
}

/// Whether cargo sets this environment variable to describe the package whose test it runs.
fn describes_package(variable: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    variable == "OUT_DIR" || prefixes.iter().any(|prefix| variable.starts_with(prefix))
}
