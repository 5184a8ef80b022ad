//! The program `medhub-local`: the library of local engines, and the product that it runs on them.
//!
//! It is a separate package, so that users of the library, above all the tests, are not recompiled after each change of
//! the product.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Events consist of many small texts, and the system's allocator takes a fifth of the time of folding them (ADR 0017).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    medhub_local::cli::main(server::cli::run)
}
