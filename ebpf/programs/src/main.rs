//! The kernel programs, licensed GPL-2.0 or Apache-2.0. One file per hook in `hook`, one per stage in `stage`.
//!
//! Functions are inlined into their hook: the verifier then knows the bounds of a packet wherever it is touched. Those that run
//! once per connection or less, and touch no packet in place, are calls.
//! Built by `cargo xtask ebpf`; for any other target than BPF this is an empty program, so that workspace-wide checks pass.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        unsafe_code,
        reason = "packets, contexts and maps are raw memory here; the verifier checks every access"
    )
)]

#[cfg(target_arch = "bpf")]
mod config;
#[cfg(target_arch = "bpf")]
mod hook;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod stage;

/// The kernel knows no name for "GPL-2.0 or Apache-2.0"; of the names it takes as GPL-compatible this is the nearest
/// (`license_is_gpl_compatible`, include/linux/license.h). Some helpers are for such programs only.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
