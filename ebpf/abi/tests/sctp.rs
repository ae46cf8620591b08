//! The change of a checksum against whole checksums that somebody else's code counts.

use crc::{CRC_32_ISCSI, Crc};
use datapath_abi::sctp::port_change;
use proptest::collection::vec;
use proptest::prelude::*;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// Beyond the common header: as much as an IPv4 packet without options carries.
const LONGEST: usize = 65_535 - 20 - 12;

fn changed(packet: &[u8], at: usize, port: [u8; 2]) -> (u32, u32) {
    let old = [packet[at], packet[at + 1]];
    let difference = u16::from_ne_bytes(old) ^ u16::from_ne_bytes(port);
    let bytes = u16::try_from(packet.len() - at).unwrap_or_default();
    let mut other = packet.to_vec();
    other[at..at + 2].copy_from_slice(&port);
    let moved = CRC32C.checksum(packet) ^ port_change(difference, bytes);
    (moved, CRC32C.checksum(&other))
}

proptest! {
    #[test]
    fn a_changed_port_moves_the_checksum_to_that_of_the_new_packet(
        packet in vec(any::<u8>(), 12..2000),
        destination in any::<bool>(),
        port in any::<[u8; 2]>(),
    ) {
        let (moved, whole) = changed(&packet, if destination { 2 } else { 0 }, port);
        prop_assert_eq!(moved, whole);
    }
}

#[test]
fn every_length_of_a_packet_is_followed() {
    let packet: Vec<u8> = (0..=255).cycle().take(12 + LONGEST).collect();
    let powers = (4..16).map(|bit| 1 << bit);
    let edges = powers.flat_map(|length| [length - 1, length, length + 1]);
    for length in edges.chain([12, 13, 16, 32, 1480, packet.len()]) {
        for at in [0, 2] {
            let (moved, whole) = changed(&packet[..length.max(12)], at, [0x1f, 0x90]);
            assert_eq!(moved, whole, "{length} bytes, port at {at}");
        }
    }
}

#[test]
fn both_ports_may_change_one_after_the_other() {
    let packet: Vec<u8> = (1..=100).collect();
    let (once, _) = changed(&packet, 0, [0xab, 0xcd]);
    let mut between = packet;
    between[..2].copy_from_slice(&[0xab, 0xcd]);
    let (twice, whole) = changed(&between, 2, [0, 1]);
    assert_eq!((once, twice), (CRC32C.checksum(&between), whole));
}

#[test]
fn a_port_that_stays_changes_nothing() {
    assert_eq!(port_change(0, 1480), 0);
}
