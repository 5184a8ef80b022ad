//! The program `medhub`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Events consist of many small strings; with the system allocator, a fifth of the time of folding them is allocation
/// (ADR 0017).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    server::cli::run(std::env::args_os().skip(1))
}
