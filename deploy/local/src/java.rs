//! Java, which Apache Kafka runs on.

use std::{env, path::PathBuf};

use crate::{
    process::{find_on_path, is_executable, read_output},
    program_version::{major_version, parse_version},
};

const OLDEST_JAVA_VERSION: u32 = 17;

/// The machine's Java, if it is new enough for Kafka 4, with its version.
pub fn find_system_java() -> Option<(PathBuf, String)> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    [home, find_on_path("java")].into_iter().flatten().filter(|java| is_executable(java)).find_map(|java| {
        let version = parse_version(&read_output(&java, &["-version"])?)?;
        (major_version(&version)? >= OLDEST_JAVA_VERSION).then_some((java, version))
    })
}
