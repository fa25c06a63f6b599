//! What is told of a record that is not held: its length and its hash, in one pass and in bounded memory.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Bytes that are read at a time.
const BLOCK: usize = 64 * 1024;

/// The length of a record without its line end, and its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordDigest {
    pub bytes: u64,
    sha256: [u8; 32],
}

impl RecordDigest {
    pub fn of(record: &[u8]) -> Self {
        RecordHasher::default().with(record).finish()
    }

    /// Of all that is read; each piece is given to `take` as well.
    pub fn read(mut record: impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Self> {
        let mut hasher = RecordHasher::default();
        let mut block = vec![0; BLOCK];
        loop {
            match record.read(&mut block) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(read) => {
                    hasher = hasher.with(&block[..read]);
                    take(&block[..read])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The hash in lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        self.digits().map(char::from).iter().collect()
    }

    /// The same without a text of its own.
    pub fn digits(&self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.sha256) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }
}

/// Takes a record in pieces.
#[derive(Debug, Default)]
pub struct RecordHasher {
    bytes: u64,
    sha256: Sha256,
}

impl RecordHasher {
    #[must_use]
    pub fn with(mut self, piece: &[u8]) -> Self {
        self.bytes += piece.len() as u64;
        self.sha256.update(piece);
        self
    }

    pub fn finish(self) -> RecordDigest {
        RecordDigest { bytes: self.bytes, sha256: self.sha256.finalize().into() }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_do_not_matter_and_each_is_given_once() {
        // As FIPS 180 has it.
        let (nothing, abc) = (RecordDigest::of(b""), RecordDigest::of(b"abc"));
        assert_eq!(nothing.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(abc.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((abc.hex().as_bytes(), abc.bytes), (&abc.digits()[..], 3));
        assert_eq!(RecordHasher::default().with(b"a").with(b"").with(b"bc").finish(), abc);
        let long = vec![b'x'; 2 * BLOCK + 7];
        let mut taken = Vec::new();
        let read = RecordDigest::read(&long[..], |piece| {
            taken.extend_from_slice(piece);
            Ok(())
        });
        assert_eq!((read.unwrap(), taken == long), (RecordDigest::of(&long), true));
        assert!(RecordDigest::read(&long[..], |_| Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}
