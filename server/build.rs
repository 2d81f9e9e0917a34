//! Compiles `proto/node.proto` into the private module `nodes::message::wire`, without a `protoc` on the machine.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const SCHEMA: &str = "proto/node.proto";
    println!("cargo:rerun-if-changed={SCHEMA}");
    println!("cargo:rerun-if-changed=build.rs");
    let files = protox::compile([SCHEMA], ["proto"])?;
    prost_build::Config::new().bytes(["."]).disable_comments(["."]).compile_fds(files)?;
    Ok(())
}
