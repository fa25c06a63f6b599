use std::io::{Read, Write};

use proptest::prelude::*;

use super::{
    members::MOST_WINDOW,
    unpack::{Content, Survey, WantedContent, restore, survey},
    *,
};
use crate::log::{tail::FoundPaths, tests::FilePacker};

fn lines(n: usize) -> Vec<u8> {
    (0..n).flat_map(|n| format!("line {n} {}\n", n * 7919 % 1000).into_bytes()).collect()
}

fn surveyed(bytes: &[u8]) -> (tempfile::NamedTempFile, Survey) {
    let mut place = tempfile::NamedTempFile::new().unwrap();
    place.write_all(bytes).unwrap();
    let found = survey(place.as_file(), &WantedContent::default(), &AtomicU64::new(0)).unwrap();
    (place, found)
}

fn content(bytes: &[u8]) -> (Content, Vec<u8>) {
    let (place, found) = surveyed(bytes);
    let Survey::Holds(content) = found else { panic!("{found:?}") };
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("restored");
    restore(place.as_file(), content.size, &to, &AtomicU64::new(0)).unwrap();
    (content, std::fs::read(to).unwrap())
}

/// A frame of zstd or lz4 without content, as parallel compressors write it.
fn skippable(length: u32) -> Vec<u8> {
    [&0x184D_2A53u32.to_le_bytes()[..], &length.to_le_bytes(), &vec![0xA5; length as usize]].concat()
}

#[test]
fn members_follow_each_other_in_every_format() {
    let text = lines(40_000);
    let parts = text.chunks(text.len() / 4 + 1).map(<[u8]>::to_vec).collect::<Vec<_>>();
    for packer in FilePacker::ALL {
        let members: Vec<Vec<u8>> = parts.iter().map(|part| packer.pack(part)).collect();
        let (whole, bytes) = content(&members.concat());
        assert_eq!((whole.size, whole.damage), (text.len() as u64, None), "{packer:?}");
        assert_eq!(bytes, text, "{packer:?}");
        let empty = packer.pack(b"");
        for zeros in [4, 512, 100_000] {
            let padded = [&members.concat()[..], &empty, &vec![0; zeros]].concat();
            let (padded, bytes) = content(&padded);
            assert_eq!((padded.damage, bytes.len()), (None, text.len()), "{packer:?} {zeros}");
        }
        let (followed, bytes) = content(&[&members.concat()[..], b"\0\0other bytes"].concat());
        assert!(followed.damage.unwrap().contains("other bytes"), "{packer:?}");
        assert_eq!(bytes, text, "{packer:?}");
    }
    for packer in [FilePacker::Zstd, FilePacker::Lz4] {
        let members = parts.iter().flat_map(|part| [skippable(70_000), packer.pack(part), skippable(0)].concat());
        let (skipped, bytes) = content(&members.collect::<Vec<u8>>());
        assert_eq!((skipped.damage, bytes), (None, text.clone()), "{packer:?}");
        let cut = [packer.pack(&text), skippable(100)].concat();
        assert!(content(&cut[..cut.len() - 1]).0.damage.unwrap().contains("cut off"));
    }
}

#[test]
fn a_window_that_is_too_large_is_refused_before_it_is_had() {
    let refused = |bytes: &[u8]| match surveyed(bytes).1 {
        Survey::Refused(why) => assert!(why.contains("128 MiB"), "{why}"),
        other => panic!("{other:?}"),
    };
    let text = lines(1000);
    // A window of 2^28: without a single segment, the byte behind the descriptor says so.
    refused(b"\x28\xB5\x2F\xFD\x00\x90\x01\x00\x00");
    refused(&[FilePacker::Zstd.pack(&text), b"\x28\xB5\x2F\xFD\x00\x90\x01\x00\x00".to_vec()].concat());
    // A dictionary of 192 MiB. The header of the first block is at 12, and ends with its checksum.
    let mut xz = FilePacker::Xz.pack(&text);
    let end = 12 + (usize::from(xz[12]) + 1) * 4;
    let filter = xz[12..end].windows(2).position(|bytes| bytes == [0x21, 1]).unwrap();
    xz[12 + filter + 2] = 31;
    let sum = crc32fast::hash(&xz[12..end - 4]).to_le_bytes();
    xz[end - 4..end].copy_from_slice(&sum);
    refused(&xz);
    assert_eq!(MOST_WINDOW, 128 << 20);
}

#[test]
fn an_error_is_the_end() {
    for packer in FilePacker::ALL {
        let packed = packer.pack(&lines(10_000));
        let mut place = tempfile::NamedTempFile::new().unwrap();
        place.write_all(&packed[..packed.len() / 2]).unwrap();
        let mut reader = PackedReader::new(place.as_file());
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{packer:?}");
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0, "{packer:?}");
    }
}

#[test]
fn one_that_was_moved_before_it_was_looked_into_is_looked_into_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("a.log"), lines(100)).unwrap();
    let state = path("state");
    std::fs::create_dir(&state).unwrap();
    let source = crate::config::FileSource::of_tests(vec![]);
    let (mut tail, _log) = Tail::open("t", source, &state, &state, &HashMap::new(), 100).unwrap();
    tail.scan(FoundPaths { paths: vec![path("a.log")], ..FoundPaths::default() });
    let id = tail.lives.iter().next().unwrap().segment.id;
    std::fs::write(path("a.log.1.gz"), FilePacker::Gzip.pack(&lines(100))).unwrap();
    let stat = identity::stat_path(&path("a.log.1.gz")).unwrap();
    std::fs::rename(path("a.log.1.gz"), path("a.log.2.gz")).unwrap();
    assert_eq!(tail.content_of(id, &path("a.log.1.gz"), &stat).unwrap(), None);
    assert!(tail.content_of(id, &path("a.log.2.gz"), &stat).unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn of_what_was_cut_the_beginning_is_had(which in 0..5usize, at in 0.0..1.0f64) {
        let text = lines(3000);
        let packed = FilePacker::ALL[which].pack(&text);
        let cut = 16 + ((packed.len() - 16) as f64 * at) as usize;
        let (content, bytes) = content(&packed[..cut]);
        prop_assert_eq!(content.damage.is_some(), cut < packed.len());
        prop_assert_eq!(&bytes[..], &text[..bytes.len()]);
    }

    #[test]
    fn damage_ends_nothing_and_is_told_where_there_is_a_checksum(
        which in 0..5usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
    ) {
        let packer = FilePacker::ALL[which];
        let text = lines(3000);
        let mut packed = packer.pack(&text);
        for (at, flip) in flips {
            let at = at.index(packed.len());
            packed[at] ^= flip;
        }
        let Survey::Holds(content) = surveyed(&packed).1 else { return Ok(()) };
        if packer != FilePacker::Lz4 && content.damage.is_none() && content.size > 0 {
            prop_assert_eq!(content.decoded, text.len() as u64);
        }
    }
}
