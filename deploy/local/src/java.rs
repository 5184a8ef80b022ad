//! Java, which Apache Kafka runs on.

use std::{env, path::PathBuf};

use crate::{
    process::{is_executable, on_path, output_of},
    program_version::{major, version_in},
};

const OLDEST_JAVA_VERSION: u32 = 17;

/// The machine's Java, if it is new enough for Kafka 4, with its version.
pub fn find_system_java() -> Option<(PathBuf, String)> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    [home, on_path("java")].into_iter().flatten().filter(|java| is_executable(java)).find_map(|java| {
        let version = version_in(&output_of(&java, &["-version"])?)?;
        (major(&version)? >= OLDEST_JAVA_VERSION).then_some((java, version))
    })
}
