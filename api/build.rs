//! Makes Rust of the gRPC service's description, without the compiler `protoc`.

use std::{env, fs, path::PathBuf};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["tasks.proto"], ["proto"])?;
    // Reflection tells clients what is served.
    #[expect(clippy::disallowed_methods, reason = "Cargo tells a build script where to write in this way only")]
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(folder.join("tasks.bin"), prost_of(&descriptors))?;
    tonic_prost_build::configure().build_client(false).compile_fds(descriptors)?;
    Ok(())
}

fn prost_of(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
