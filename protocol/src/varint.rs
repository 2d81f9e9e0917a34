//! QUIC's variable-length integers (RFC 9000, section 16): the two top bits of the first byte tell how many
//! bytes there are. Written in the shortest form; read in any.

use bytes::BufMut;

/// The largest number that fits.
pub(crate) const MAX: u64 = (1 << 62) - 1;

/// The most bytes that a number takes.
pub(crate) const BYTES_MAX: usize = 8;

/// Reads a number from the start of `bytes`: the number and how many bytes it took. `None`: more bytes are
/// needed.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = 1_usize << (first >> 6);
    let rest = bytes.get(1..length)?;
    let number = rest.iter().fold(u64::from(first & 0x3f), |number, byte| number << 8 | u64::from(*byte));
    Some((number, length))
}

/// Writes a number. Larger ones than [`MAX`] do not occur (types and lengths are far below it); one is
/// written as `MAX`.
pub(crate) fn write(number: u64, out: &mut impl BufMut) {
    let number = number.min(MAX);
    match number {
        0..=0x3f => out.put_uint(number, 1),
        0x40..=0x3fff => out.put_uint(0b01 << 14 | number, 2),
        0x4000..=0x3fff_ffff => out.put_uint(0b10 << 30 | number, 4),
        _ => out.put_uint(0b11 << 62 | number, 8),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_rfc_9000_are_read() {
        assert_eq!(
            read(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
            Some((151_288_809_941_952_652, 8))
        );
        assert_eq!(read(&[0x9d, 0x7f, 0x3e, 0x7d]), Some((494_878_333, 4)));
        assert_eq!(read(&[0x7b, 0xbd]), Some((15_293, 2)));
        assert_eq!(read(&[0x25]), Some((37, 1)));
        assert_eq!(read(&[0x40, 0x25]), Some((37, 2)));
    }

    proptest! {
        #[test]
        fn a_number_is_read_as_it_was_written(bits in 0_u32..=62, number: u64) {
            let number = number & ((1 << bits) - 1);
            let mut bytes = Vec::new();
            write(number, &mut bytes);
            prop_assert_eq!(read(&bytes), Some((number, bytes.len())));
            prop_assert!(bytes.len() <= BYTES_MAX);
            prop_assert_eq!(read(&bytes[..bytes.len() - 1]), None);
        }
    }
}
