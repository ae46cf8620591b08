//! Compiles the relay protocol without a `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["relay.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        // The client's own `connect` would clash with the call of that name; both ends have their own transport.
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
