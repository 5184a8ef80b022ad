//! The program `medhub`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Events are many small texts, and the system's allocator takes a fifth of the time of folding them (ADR 0017).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    api::cli::run(std::env::args_os().skip(1))
}
