//! The few calls of bpf(2) that aya 0.14 has no safe form of: it can pin a cgroup link, but not find it again or replace its program.
#![expect(unsafe_code, reason = "bpf(2) takes a union by address")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aya_obj::generated::{bpf_attach_type, bpf_cmd};

/// `union bpf_attr` is longer; the kernel takes any length whose unknown rest is zero.
const ATTRIBUTE_BYTES: usize = 64;

#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    rest: [u64; 6],
}

#[repr(C)]
#[derive(Default)]
struct LinkUpdate {
    link: u32,
    program: u32,
    flags: u32,
    old_program: u32,
    rest: [u64; 6],
}

#[repr(C)]
#[derive(Default)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
    rest: [u64; 6],
}

/// Of the calls that read or remove many entries; addresses as numbers.
#[repr(C)]
#[derive(Default)]
pub(super) struct Batch {
    /// Where the last call left off; 0: at the beginning.
    pub(super) from: u64,
    /// Where this one writes down where it left off.
    pub(super) to: u64,
    pub(super) keys: u64,
    pub(super) values: u64,
    /// Room for entries, then how many there were.
    pub(super) count: u32,
    pub(super) map: u32,
    /// Zero.
    pub(super) flags: [u64; 2],
    /// Zero.
    pub(super) rest: u64,
}

const _: () = assert!(
    size_of::<Batch>() == ATTRIBUTE_BYTES
        && size_of::<LinkCreate>() == ATTRIBUTE_BYTES
        && size_of::<LinkUpdate>() == ATTRIBUTE_BYTES
        && size_of::<Object>() == ATTRIBUTE_BYTES
);

/// Attaches a program to an interface (by index) or a cgroup (by descriptor, as a number).
pub(super) fn link_create(
    program: BorrowedFd<'_>,
    target: u32,
    attach_type: bpf_attach_type,
) -> io::Result<OwnedFd> {
    let mut attribute = LinkCreate {
        program: number(program),
        target,
        attach_type: attach_type as u32,
        ..LinkCreate::default()
    };
    call_for_fd(bpf_cmd::BPF_LINK_CREATE, &mut attribute)
}

/// Replaces the program of a link; packets see the old one or the new one. `ENOLINK`: the device is gone.
pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attribute = LinkUpdate {
        link: number(link),
        program: number(program),
        ..LinkUpdate::default()
    };
    call(bpf_cmd::BPF_LINK_UPDATE, &mut attribute).map(drop)
}

/// Gives an object a name in bpffs, under which it outlives this process.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let text = CString::new(path.as_os_str().as_bytes())?;
    let mut attribute = Object {
        path: text.as_ptr() as u64,
        fd: number(object),
        ..Object::default()
    };
    call(bpf_cmd::BPF_OBJ_PIN, &mut attribute).map(drop)
}

/// Opens the object of that name.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    let text = CString::new(path.as_os_str().as_bytes())?;
    let mut attribute = Object {
        path: text.as_ptr() as u64,
        ..Object::default()
    };
    call_for_fd(bpf_cmd::BPF_OBJ_GET, &mut attribute)
}

/// One call for many entries; `count` is right also after an error. The caller answers for its addresses.
pub(super) fn batch(command: bpf_cmd, batch: &mut Batch) -> io::Result<()> {
    call(command, batch).map(drop)
}

/// A descriptor as bpf(2) wants it.
pub(super) fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn call_for_fd<T>(command: bpf_cmd, attribute: &mut T) -> io::Result<OwnedFd> {
    let fd = call(command, attribute)?;
    // SAFETY: these commands answer with a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T>(command: bpf_cmd, attribute: &mut T) -> io::Result<i32> {
    // SAFETY: the attribute is one of the structs above, as long as we say; paths in it live until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_mut(attribute),
            ATTRIBUTE_BYTES,
        )
    };
    match i32::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}
