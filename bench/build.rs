//! Passes the build profile to `report::BuildDescription`: the figures of a program depend on how it was built, and a
//! program cannot see that itself.

use std::{env, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let opt_level = env::var_os("OPT_LEVEL").unwrap_or_default();
    // `<target>/<profile>/build/<package>/out`: the variable `PROFILE` is `release` also for profiles derived from it.
    let out_folder = env::var_os("OUT_DIR").unwrap_or_default();
    let folder = Path::new(&out_folder).ancestors().nth(3).and_then(Path::file_name).unwrap_or_default();
    let profile = folder.to_string_lossy();
    println!("cargo::rustc-env=BENCH_BUILD_PROFILE={}", if profile == "debug" { "dev" } else { &*profile });
    println!("cargo::rustc-env=BENCH_OPT_LEVEL={}", opt_level.to_string_lossy());
}
