//! The program `medhub-local`.

use std::process::ExitCode;

fn main() -> ExitCode {
    medhub_local::cli::main()
}
