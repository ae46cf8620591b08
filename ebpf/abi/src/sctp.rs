//! SCTP's checksum after a change of a port (RFC 9260 6.8 and Appendix A): CRC32c over the packet, and over nothing of the IP header.
//!
//! A CRC is linear: that of two packets of one length differs by the remainder of their difference, whatever else is in them. So a
//! port is changed without looking at the rest of the packet, and a packet that was damaged before stays so afterwards.

/// The generator without its highest coefficient. As everywhere here, the lowest bit of a word is the highest coefficient.
const GENERATOR: u32 = 0x82f6_3b78;
/// x^0.
const ONE: u32 = 1 << 31;
const DEGREE: u32 = 32;
/// Bits of a packet's length.
const LENGTH_BITS: usize = 16;

/// x to the power of 8, 16, 32 …: what one, two, four … bytes behind a difference make of it.
static POWERS: [u32; LENGTH_BITS] = powers();

/// What must be added to (xor) a checksum when a port changes by `difference`: the old one xor the new one, both as they lie in the
/// packet. `bytes` are counted from the first of the port to the packet's last.
#[inline(always)]
pub fn port_change(difference: u16, bytes: u16) -> u32 {
    let mut remainder = u32::from(u16::from_le_bytes(difference.to_ne_bytes()));
    let mut bit = 0;
    while bit < LENGTH_BITS {
        if bytes >> bit & 1 != 0 {
            remainder = multiply(remainder, POWERS[bit]);
        }
        bit += 1;
    }
    remainder
}

const fn powers() -> [u32; LENGTH_BITS] {
    let mut powers = [0; LENGTH_BITS];
    powers[0] = ONE >> 8;
    let mut bit = 1;
    while bit < LENGTH_BITS {
        powers[bit] = multiply(powers[bit - 1], powers[bit - 1]);
        bit += 1;
    }
    powers
}

/// The product of two remainders, as a remainder. One step per coefficient of `a`, from the lowest; without branches, because each
/// would be a way of its own to the verifier.
#[inline(always)]
const fn multiply(mut a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut step = 0;
    while step < DEGREE {
        product ^= b & 0_u32.wrapping_sub(a >> (DEGREE - 1));
        a <<= 1;
        b = (b >> 1) ^ (GENERATOR & 0_u32.wrapping_sub(b & 1));
        step += 1;
    }
    product
}
