//! Eight bytes at a time in a `u64`, in safe code.
//!
//! A mask has the high bit set of each byte that matches. Bytes above the first match may be set wrongly (a
//! borrow runs upwards), so only the lowest one counts, which is also all that a search needs. Masks may be
//! joined with `|` for the same reason.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// Marks the first byte equal to `byte`.
#[inline(always)]
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * byte as u64);
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

/// Marks the first byte below `limit`, which is at most 128.
#[inline(always)]
pub(crate) const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGHS
}

/// Marks the bytes from `limit` on, which is 127 or 128. Right for UTF-8 alone, which has no byte 255 to carry.
#[inline(always)]
pub(crate) const fn from(word: u64, limit: u8) -> u64 {
    (word.wrapping_add(ONES * (128 - limit as u64)) | word) & HIGHS
}

/// The index at or after `from` of the first byte that `mask` marks, or the length of `bytes`.
#[inline(always)]
pub(crate) fn find(bytes: &[u8], from: usize, mask: impl Fn(u64) -> u64) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let hit = mask(u64::from_le_bytes(*chunk));
        if hit != 0 {
            return at + hit.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    // The last few bytes, one to a word: the seven above are copies of it and change no answer.
    while let Some(&byte) = bytes.get(at) {
        if mask(ONES * u64::from(byte)) != 0 {
            return at;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_is_found_wherever_it_stands() {
        for length in 0..40 {
            for place in 0..length {
                for (byte, neighbour) in [(b'"', b'#'), (b'"', b'!'), (0, b'x'), (0x1f, 0x20), (0x80, 0x7f)] {
                    let mut bytes = vec![neighbour; length];
                    bytes[place] = byte;
                    let mask = |word| equal(word, b'"') | below(word, 0x20) | from(word, 0x80);
                    assert_eq!(find(&bytes, 0, mask), place, "{byte} among {neighbour} at {place} of {length}");
                    assert_eq!(find(&bytes, place + 1, mask), length);
                }
            }
        }
    }

    #[test]
    fn every_byte_is_judged_as_a_plain_comparison_would() {
        for byte in 0..=255u8 {
            let bytes = [b'a', byte, b'a', b'a', b'a', b'a', b'a', b'a', b'a'];
            assert_eq!(find(&bytes, 0, |w| equal(w, b'=')) == 1, byte == b'=');
            assert_eq!(find(&bytes, 0, |w| below(w, 0x20)) == 1, byte < 0x20);
            if byte < 0xff {
                assert_eq!(find(&bytes, 0, |w| from(w, 0x7f)) == 1, byte >= 0x7f);
                assert_eq!(find(&bytes, 0, |w| from(w, 0x80)) == 1, byte >= 0x80);
            }
        }
    }
}
