//! Compiles `spec/fulmar.proto` into the private module `wire`, without a `protoc` on the machine.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const SCHEMA: &str = "../spec/fulmar.proto";
    println!("cargo:rerun-if-changed={SCHEMA}");
    println!("cargo:rerun-if-changed=build.rs");
    let files = protox::compile([SCHEMA], ["../spec"])?;
    prost_build::Config::new().bytes(["."]).disable_comments(["."]).compile_fds(files)?;
    Ok(())
}
