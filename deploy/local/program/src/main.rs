//! The program `medhub-local`: the library of local engines, and the product that it runs on them.
//!
//! It is a package of its own so that whoever uses the library, the tests first of all, is not compiled again with each
//! change of the product.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Events are many small texts, and the system's allocator takes a fifth of the time of folding them (ADR 0017).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    medhub_local::cli::main(server::cli::run)
}
