use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;

use crate::stage::socket;

/// As connect4, from a socket of IPv6: it may connect to an address of IPv4.
#[cgroup_sock_addr(connect6)]
pub(crate) fn connect6(ctx: SockAddrContext) -> i32 {
    socket::forward_mapped(&ctx)
}
