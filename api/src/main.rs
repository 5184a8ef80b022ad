//! The program `medhub`.

use std::process::ExitCode;

fn main() -> ExitCode {
    api::cli::run(std::env::args_os().skip(1))
}
