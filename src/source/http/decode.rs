//! A body as it arrives, piece by piece: gzip undone, whichever way it is announced, within limits.
//!
//! What always holds: no more memory is held than was got from the shared budget before, and no more than the limits
//! allow, whatever a small body claims to be.

use std::{
    io::{self, Write},
    sync::Arc,
};

use flate2::write::MultiGzDecoder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The least that is got from the budget at once.
const STEP: usize = 64 << 10;

/// A body that decodes to so many times its size is no honest one, beyond the first mebibyte.
const MAX_RATIO: usize = 200;
const FREE_OF_RATIO: usize = 1 << 20;

/// Each byte of a body may be there twice: as it came, and as a line.
const COPIES: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("the body is too large")]
    TooLarge,
    #[error("the body decodes to too much")]
    Bomb,
    #[error("too many bodies arrive at once")]
    Busy,
    #[error("announced as gzip, and it is not")]
    NotGzip,
    #[error("the gzip is damaged or cut short")]
    Damaged,
    #[error("the content encoding is not one of gzip, x-gzip, application/gzip, identity")]
    Unknown,
}

/// What a body may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    /// Bytes as sent.
    pub wire: usize,
    /// Bytes once decoded.
    pub decoded: usize,
}

/// Whether a `Content-Encoding` announces gzip; bytes that begin as gzip are gzip all the same.
pub(super) fn announces_gzip(encodings: &[&[u8]]) -> Result<bool, DecodeError> {
    let mut gzip = false;
    for coding in encodings.iter().flat_map(|value| value.split(|byte| *byte == b',')) {
        let known = ["gzip", "x-gzip", "application/gzip"]
            .iter()
            .any(|name| coding.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
        let nothing = coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity");
        if known && !gzip {
            gzip = true;
        } else if !nothing {
            return Err(DecodeError::Unknown);
        }
    }
    Ok(gzip)
}

/// Takes a body as it arrives.
pub(super) struct Decoder {
    announced: bool,
    caps: Caps,
    wire: usize,
    state: DecodeState,
}

enum DecodeState {
    /// Fewer bytes than tell what it is.
    Begun(Vec<u8>, BudgetedBytes),
    Plain(BudgetedBytes),
    Gzip(Box<MultiGzDecoder<BudgetedBytes>>),
    Failed,
}

/// A decoded body, and its share of the budget for as long as it is there.
#[derive(Debug)]
pub(super) struct DecodedBody {
    pub bytes: Vec<u8>,
    pub share: Option<OwnedSemaphorePermit>,
}

impl Decoder {
    pub(super) fn new(announced: bool, caps: Caps, budget: Arc<Semaphore>) -> Self {
        let held = BudgetedBytes { bytes: Vec::new(), most: caps.wire, room: 0, share: None, budget, failure: None };
        Self { announced, caps, wire: 0, state: DecodeState::Begun(Vec::new(), held) }
    }

    /// The next bytes. After an error nothing more may come.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.wire += bytes.len();
        if self.wire > self.caps.wire {
            return Err(DecodeError::TooLarge);
        }
        match std::mem::replace(&mut self.state, DecodeState::Failed) {
            DecodeState::Begun(mut begun, held) => {
                begun.extend_from_slice(bytes);
                self.state = if begun.len() < GZIP_MAGIC.len() {
                    DecodeState::Begun(begun, held)
                } else if begun.starts_with(&GZIP_MAGIC) {
                    self.gunzip(Box::new(MultiGzDecoder::new(held)), &begun)?
                } else if self.announced {
                    return Err(DecodeError::NotGzip);
                } else {
                    plain(held, &begun)?
                };
            }
            DecodeState::Plain(held) => self.state = plain(held, bytes)?,
            DecodeState::Gzip(decoder) => self.state = self.gunzip(decoder, bytes)?,
            DecodeState::Failed => return Err(DecodeError::Damaged),
        }
        Ok(())
    }

    /// The whole body.
    pub(super) fn finish(self) -> Result<DecodedBody, DecodeError> {
        let held = match self.state {
            DecodeState::Begun(begun, _) if self.announced && !begun.is_empty() => return Err(DecodeError::NotGzip),
            DecodeState::Begun(begun, mut held) => {
                held.write_all(&begun).map_err(|_| held.failure.unwrap_or(DecodeError::Busy))?;
                held
            }
            DecodeState::Plain(held) => held,
            // What its buffer still held comes now.
            DecodeState::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => decoder.finish().map_err(|_| DecodeError::Damaged)?,
                Err(_) => return Err(trouble(&decoder)),
            },
            DecodeState::Failed => return Err(DecodeError::Damaged),
        };
        Ok(DecodedBody { bytes: held.bytes, share: held.share })
    }

    fn gunzip(
        &self,
        mut decoder: Box<MultiGzDecoder<BudgetedBytes>>,
        bytes: &[u8],
    ) -> Result<DecodeState, DecodeError> {
        decoder.get_mut().most = self.caps.decoded.min(FREE_OF_RATIO.max(self.wire.saturating_mul(MAX_RATIO)));
        match decoder.write_all(bytes) {
            Ok(()) => Ok(DecodeState::Gzip(decoder)),
            Err(_) => Err(trouble(&decoder)),
        }
    }
}

/// Why a decoder gave up.
fn trouble(decoder: &MultiGzDecoder<BudgetedBytes>) -> DecodeError {
    match decoder.get_ref().failure {
        Some(DecodeError::TooLarge) => DecodeError::Bomb,
        Some(failure) => failure,
        None => DecodeError::Damaged,
    }
}

fn plain(mut held: BudgetedBytes, bytes: &[u8]) -> Result<DecodeState, DecodeError> {
    match held.write_all(bytes) {
        Ok(()) => Ok(DecodeState::Plain(held)),
        Err(_) => Err(held.failure.unwrap_or(DecodeError::TooLarge)),
    }
}

/// Decoded bytes within what the budget gave.
struct BudgetedBytes {
    bytes: Vec<u8>,
    most: usize,
    room: usize,
    share: Option<OwnedSemaphorePermit>,
    budget: Arc<Semaphore>,
    failure: Option<DecodeError>,
}

impl BudgetedBytes {
    fn make_room(&mut self, needed: usize) -> Result<(), DecodeError> {
        if needed > self.most {
            return Err(DecodeError::TooLarge);
        }
        if needed > self.room {
            let more = (needed - self.room).max(STEP).max(self.room / 4);
            let permits = u32::try_from(more * COPIES).map_err(|_| DecodeError::TooLarge)?;
            let share = self.budget.clone().try_acquire_many_owned(permits).map_err(|_| DecodeError::Busy)?;
            match &mut self.share {
                Some(mine) => mine.merge(share),
                None => self.share = Some(share),
            }
            self.room += more;
            self.bytes.reserve_exact(self.room - self.bytes.len());
        }
        Ok(())
    }
}

impl Write for BudgetedBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.make_room(self.bytes.len() + bytes.len()) {
            Ok(()) => {
                self.bytes.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Err(failure) => {
                self.failure = Some(failure);
                Err(io::Error::other(failure))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How much all bodies together may hold, so that one of the largest always finds room when it is alone.
pub(super) fn budget(caps: Caps) -> usize {
    const LEAST: usize = 64 << 20;
    LEAST.max(caps.decoded * COPIES * 5 / 4 + STEP * COPIES)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { wire: 1 << 20, decoded: 8 << 20 };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode_in(
        announced: bool,
        wire: &[u8],
        piece: usize,
        budget: &Arc<Semaphore>,
    ) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::new(announced, CAPS, budget.clone());
        for piece in wire.chunks(piece) {
            decoder.push(piece)?;
        }
        decoder.finish().map(|body| body.bytes)
    }

    fn decode(announced: bool, wire: &[u8]) -> Result<Vec<u8>, DecodeError> {
        decode_in(announced, wire, 1000, &Arc::new(Semaphore::new(budget(CAPS))))
    }

    /// Bytes that do not compress.
    fn noise(bytes: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(5);
        std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
    }

    #[test]
    fn gzip_is_undone_in_whatever_pieces_it_arrives_and_however_it_is_announced() {
        let budget = Arc::new(Semaphore::new(budget(CAPS)));
        let whole = budget.available_permits();
        let two_members = [gzip(b"one\n"), gzip(b"two\n")].concat();
        for piece in 1..=two_members.len() {
            for announced in [false, true] {
                assert_eq!(decode_in(announced, &two_members, piece, &budget).unwrap(), b"one\ntwo\n", "by {piece}");
            }
            assert_eq!(decode_in(false, b"plain text\n", piece, &budget).unwrap(), b"plain text\n");
        }
        for plain in [&b""[..], b"x", b"\x1f"] {
            assert_eq!(decode(false, plain).unwrap(), plain);
        }
        assert_eq!(decode(true, b"").unwrap(), b"");
        assert_eq!(decode(true, b"{}"), Err(DecodeError::NotGzip));
        assert_eq!(budget.available_permits(), whole, "every share was given back");
    }

    #[test]
    fn a_content_encoding_is_known_in_any_of_its_spellings() {
        for gzip in [&[&b"gzip"[..]][..], &[b" X-GZIP "], &[b"application/gzip"], &[b"identity, gzip"]] {
            assert_eq!(announces_gzip(gzip), Ok(true));
        }
        for none in [&[][..], &[&b"identity"[..]], &[b""]] {
            assert_eq!(announces_gzip(none), Ok(false));
        }
        for unknown in [&[&b"br"[..]][..], &[b"gzip, gzip"], &[b"gzip", b"gzip"], &[b"gzip, br"]] {
            assert_eq!(announces_gzip(unknown), Err(DecodeError::Unknown));
        }
    }

    #[test]
    fn gzip_that_is_cut_short_or_damaged_is_refused_at_every_byte() {
        let whole = gzip(b"{\"a\":1}\n{\"a\":2}\n");
        for cut in 2..whole.len() {
            assert_eq!(decode(false, &whole[..cut]), Err(DecodeError::Damaged), "cut at {cut}");
        }
        let mut wrong = whole.clone();
        let last = wrong.len() - 6;
        wrong[last] ^= 1;
        assert_eq!(decode(false, &wrong), Err(DecodeError::Damaged), "its checksum is wrong");
        assert_eq!(decode(false, &[&whole[..], b"rubbish behind it"].concat()), Err(DecodeError::Damaged));
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_held() {
        let bomb = gzip(&vec![0; 16 << 20]);
        assert!(bomb.len() < 20_000);
        let mut decoder = Decoder::new(false, CAPS, Arc::new(Semaphore::new(budget(CAPS))));
        assert_eq!(decoder.push(&bomb), Err(DecodeError::Bomb));
        // Up to a mebibyte any ratio is honest.
        assert_eq!(decode(false, &gzip(&vec![0; 1 << 20])).unwrap().len(), 1 << 20);
        assert_eq!(decode(false, &gzip(&vec![0; (1 << 20) + 1])), Err(DecodeError::Bomb));
        // Nor may an honest ratio lead beyond the cap.
        let lines = noise(1000).repeat(((8 << 20) + 1000) / 1000);
        assert_eq!(decode(false, &gzip(&lines)), Err(DecodeError::Bomb));
    }

    #[test]
    fn a_body_above_the_cap_is_refused_and_one_at_it_is_not() {
        assert_eq!(decode(false, &vec![b' '; CAPS.wire]).unwrap().len(), CAPS.wire);
        assert_eq!(decode(false, &vec![b' '; CAPS.wire + 1]), Err(DecodeError::TooLarge));
    }

    #[test]
    fn where_the_budget_is_used_up_a_body_has_to_come_again_and_alone_the_largest_fits() {
        let budget = Arc::new(Semaphore::new(3 * STEP * COPIES));
        let mut one = Decoder::new(false, CAPS, budget.clone());
        one.push(&vec![b' '; 2 * STEP]).unwrap();
        let other = vec![b' '; STEP + 1];
        assert_eq!(decode_in(false, &other, 1000, &budget), Err(DecodeError::Busy));
        drop(one);
        assert_eq!(decode_in(false, &other, 1000, &budget).unwrap().len(), other.len());

        let largest = Arc::new(Semaphore::new(super::budget(CAPS)));
        let text: Vec<u8> = (0..(8 << 20) / 64).flat_map(|n| format!("{n:063}\n").into_bytes()).collect();
        assert_eq!(decode_in(false, &gzip(&text), 7000, &largest).unwrap().len(), 8 << 20);
    }
}
