//! Generates Rust code from the description of the gRPC service, without the compiler `protoc`.

use std::{env, fs, path::PathBuf};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["tasks.proto"], ["proto"])?;
    // Server reflection returns this description to clients.
    #[expect(
        clippy::disallowed_methods,
        reason = "Cargo passes the output folder of a build script only as an environment variable"
    )]
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(folder.join("tasks.bin"), encode_descriptors(&descriptors))?;
    tonic_prost_build::configure().build_client(false).compile_fds(descriptors)?;
    Ok(())
}

fn encode_descriptors(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
