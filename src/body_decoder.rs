//! The body of a request that somebody sent us, piece by piece as it arrives: gzip undone, whichever way it is announced,
//! within limits.
//!
//! What always holds: no more memory is held than was got from the budget before, which bodies may share, and no more
//! than the limits allow, whatever a small body claims to be. A body is decoded as a whole or not at all.

use std::{
    io::{self, Write},
    sync::Arc,
};

use flate2::write::MultiGzDecoder;
use hyper::{HeaderMap, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How gzip begins.
pub const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The least that is got from the budget at once.
const STEP: usize = 64 << 10;

/// Up to so many bytes a body may decode to any number of times its size.
const FREE_OF_RATIO: usize = 1 << 20;

/// Each byte of a body may be there twice: as it came, and as a line.
const COPIES: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    #[error("the body decodes to more than {0} bytes")]
    TooLargeDecoded(usize),
    #[error("the body decodes to more than {0} times its compressed size")]
    Bomb(usize),
    #[error("too many bodies arrive at once")]
    Busy,
    #[error("announced as gzip, and it is not")]
    NotGzip,
    #[error("the gzip is damaged or cut short")]
    Damaged,
    #[error("the content encoding is not one of gzip, x-gzip, application/gzip, identity")]
    Unknown,
}

impl DecodeError {
    /// What its sender is answered.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) | Self::TooLargeDecoded(_) | Self::Bomb(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::NotGzip | Self::Damaged => StatusCode::BAD_REQUEST,
            Self::Unknown => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

/// What a body may have.
#[derive(Clone, Copy, Debug)]
pub struct DecodeLimits {
    /// Bytes as sent.
    pub wire: usize,
    /// Bytes once decoded.
    pub decoded: usize,
    /// Bytes once decoded for each byte that was sent, beyond the first mebibyte.
    pub ratio: usize,
}

impl DecodeLimits {
    /// How much all bodies together may hold, so that one of the largest always finds room when it is alone.
    pub fn budget(self) -> usize {
        const LEAST: usize = 64 << 20;
        LEAST.max(self.decoded * COPIES * 5 / 4 + STEP * COPIES)
    }
}

/// Whether a `Content-Encoding` announces gzip; bytes that begin as gzip are gzip all the same.
pub fn announces_gzip(headers: &HeaderMap) -> Result<bool, DecodeError> {
    let mut gzip = false;
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    for coding in values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
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
pub struct BodyDecoder {
    announced: bool,
    limits: DecodeLimits,
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
pub struct DecodedBody {
    pub bytes: Vec<u8>,
    pub share: Option<OwnedSemaphorePermit>,
}

impl BodyDecoder {
    pub fn new(announced: bool, limits: DecodeLimits, budget: Arc<Semaphore>) -> Self {
        let held =
            BudgetedBytes { bytes: Vec::new(), most: limits.wire, room: 0, share: None, budget, failure: None };
        Self { announced, limits, wire: 0, state: DecodeState::Begun(Vec::new(), held) }
    }

    /// The next bytes. After an error nothing more may come.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.wire += bytes.len();
        if self.wire > self.limits.wire {
            return Err(DecodeError::TooLarge(self.limits.wire));
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
                    held.plain(&begun)?
                };
            }
            DecodeState::Plain(held) => self.state = held.plain(bytes)?,
            DecodeState::Gzip(decoder) => self.state = self.gunzip(decoder, bytes)?,
            DecodeState::Failed => return Err(DecodeError::Damaged),
        }
        Ok(())
    }

    /// The whole body.
    pub fn finish(self) -> Result<DecodedBody, DecodeError> {
        let held = match self.state {
            DecodeState::Begun(begun, _) if self.announced && !begun.is_empty() => return Err(DecodeError::NotGzip),
            DecodeState::Begun(begun, mut held) => {
                held.add(&begun)?;
                held
            }
            DecodeState::Plain(held) => held,
            // What its buffer still held comes now.
            DecodeState::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => decoder.finish().map_err(|_| DecodeError::Damaged)?,
                Err(_) => return Err(trouble(&decoder, self.limits)),
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
        decoder.get_mut().most =
            self.limits.decoded.min(FREE_OF_RATIO.max(self.wire.saturating_mul(self.limits.ratio)));
        match decoder.write_all(bytes) {
            Ok(()) => Ok(DecodeState::Gzip(decoder)),
            Err(_) => Err(trouble(&decoder, self.limits)),
        }
    }
}

/// Why a decoder gave up.
fn trouble(decoder: &MultiGzDecoder<BudgetedBytes>, limits: DecodeLimits) -> DecodeError {
    match decoder.get_ref().failure {
        Some(DecodeError::TooLarge(most)) if most == limits.decoded => DecodeError::TooLargeDecoded(most),
        Some(DecodeError::TooLarge(_)) => DecodeError::Bomb(limits.ratio),
        Some(failure) => failure,
        None => DecodeError::Damaged,
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
    fn plain(mut self, bytes: &[u8]) -> Result<DecodeState, DecodeError> {
        self.add(bytes)?;
        Ok(DecodeState::Plain(self))
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.make_room(self.bytes.len() + bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn make_room(&mut self, needed: usize) -> Result<(), DecodeError> {
        if needed > self.most {
            return Err(DecodeError::TooLarge(self.most));
        }
        if needed > self.room {
            let more = (needed - self.room).max(STEP).max(self.room / 4);
            let permits = u32::try_from(more * COPIES).map_err(|_| DecodeError::TooLarge(self.most))?;
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
        self.add(bytes).map_err(|failure| {
            self.failure = Some(failure);
            io::Error::other(failure)
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const LIMITS: DecodeLimits = DecodeLimits { wire: 1 << 20, decoded: 8 << 20, ratio: 200 };

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
        let mut decoder = BodyDecoder::new(announced, LIMITS, budget.clone());
        for piece in wire.chunks(piece) {
            decoder.push(piece)?;
        }
        decoder.finish().map(|body| body.bytes)
    }

    fn decode(announced: bool, wire: &[u8]) -> Result<Vec<u8>, DecodeError> {
        decode_in(announced, wire, 1000, &Arc::new(Semaphore::new(LIMITS.budget())))
    }

    /// Lines that are smaller as gzip, and not by much more than events are.
    fn lines(bytes: usize) -> Vec<u8> {
        (0..bytes / 64).flat_map(|n| format!("{n:063}\n").into_bytes()).collect()
    }

    #[test]
    fn gzip_is_undone_in_whatever_pieces_it_arrives_and_however_it_is_announced() {
        let budget = Arc::new(Semaphore::new(LIMITS.budget()));
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
        let announced = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            announces_gzip(&headers)
        };
        for gzip in ["gzip", " X-GZIP ", "application/gzip", "identity, gzip"] {
            assert_eq!(announced(&[gzip]), Ok(true));
        }
        for none in [&[][..], &["identity"], &[""]] {
            assert_eq!(announced(none), Ok(false));
        }
        for unknown in [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"], &["gzip, br"]] {
            assert_eq!(announced(unknown), Err(DecodeError::Unknown));
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
        let mut decoder = BodyDecoder::new(false, LIMITS, Arc::new(Semaphore::new(LIMITS.budget())));
        assert_eq!(decoder.push(&bomb), Err(DecodeError::Bomb(200)));
        // Up to a mebibyte any ratio is honest.
        assert_eq!(decode(false, &gzip(&vec![0; 1 << 20])).unwrap().len(), 1 << 20);
        assert_eq!(decode(false, &gzip(&vec![0; (1 << 20) + 1])), Err(DecodeError::Bomb(200)));
        // Nor may an honest ratio lead beyond the cap.
        assert_eq!(decode(false, &gzip(&lines((8 << 20) + 64))), Err(DecodeError::TooLargeDecoded(LIMITS.decoded)));
    }

    #[test]
    fn where_any_ratio_is_allowed_the_limit_is_one_all_the_same() {
        let limits = DecodeLimits { wire: 1 << 20, decoded: 3 << 20, ratio: usize::MAX };
        let decode = |bytes: usize| {
            let mut decoder = BodyDecoder::new(true, limits, Arc::new(Semaphore::new(limits.budget())));
            decoder.push(&gzip(&vec![0; bytes]))?;
            decoder.finish().map(|body| body.bytes.len())
        };
        assert_eq!(decode(3 << 20), Ok(3 << 20));
        assert_eq!(decode((3 << 20) + 1), Err(DecodeError::TooLargeDecoded(3 << 20)));
    }

    #[test]
    fn a_body_above_the_cap_is_refused_and_one_at_it_is_not() {
        assert_eq!(decode(false, &vec![b' '; LIMITS.wire]).unwrap().len(), LIMITS.wire);
        assert_eq!(decode(false, &vec![b' '; LIMITS.wire + 1]), Err(DecodeError::TooLarge(LIMITS.wire)));
    }

    #[test]
    fn where_the_budget_is_used_up_a_body_has_to_come_again_and_alone_the_largest_fits() {
        let budget = Arc::new(Semaphore::new(3 * STEP * COPIES));
        let mut one = BodyDecoder::new(false, LIMITS, budget.clone());
        one.push(&vec![b' '; 2 * STEP]).unwrap();
        let other = vec![b' '; STEP + 1];
        assert_eq!(decode_in(false, &other, 1000, &budget), Err(DecodeError::Busy));
        drop(one);
        assert_eq!(decode_in(false, &other, 1000, &budget).unwrap().len(), other.len());

        let largest = Arc::new(Semaphore::new(LIMITS.budget()));
        assert_eq!(decode_in(false, &gzip(&lines(8 << 20)), 7000, &largest).unwrap().len(), 8 << 20);
    }
}
