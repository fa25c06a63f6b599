//! Compressors: those of the system, and for two formats an encoder that stores what it is given.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::log::tests::packed::gzip;

/// A way to compress a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilePacker {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Lz4,
}

impl FilePacker {
    pub(super) const ALL: [Self; 5] = [Self::Gzip, Self::Zstd, Self::Xz, Self::Bzip2, Self::Lz4];

    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Lz4 => ".lz4",
        }
    }

    /// Whether this machine can make such files.
    pub(super) fn is_there(self) -> bool {
        static XZ: OnceLock<bool> = OnceLock::new();
        static BZIP2: OnceLock<bool> = OnceLock::new();
        match self {
            Self::Xz => *XZ.get_or_init(|| filter("xz", b"").is_some()),
            Self::Bzip2 => *BZIP2.get_or_init(|| filter("bzip2", b"").is_some()),
            Self::Gzip | Self::Zstd | Self::Lz4 => true,
        }
    }

    /// By the system's tool; what has none is stored in a frame that every decoder takes.
    pub(super) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => gzip(bytes),
            Self::Zstd => filter("zstd", bytes).unwrap_or_else(|| stored_zstd(bytes)),
            Self::Xz => filter("xz", bytes).expect("it was there before"),
            Self::Bzip2 => filter("bzip2", bytes).expect("it was there before"),
            Self::Lz4 => filter("lz4", bytes).unwrap_or_else(|| stored_lz4(bytes)),
        }
    }
}

fn filter(tool: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(tool)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    stdin.write_all(bytes).ok()?; // Less than a pipe holds: nobody waits for anybody.
    drop(stdin);
    let output = child.wait_with_output().ok()?;
    output.status.success().then_some(output.stdout)
}

/// One frame of raw blocks (RFC 8878, 3.1.1): a single segment whose size takes four bytes, and no checksum.
fn stored_zstd(bytes: &[u8]) -> Vec<u8> {
    const MOST: usize = 128 * 1024;
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0b1010_0000];
    frame.extend((bytes.len() as u32).to_le_bytes());
    let mut at = 0;
    loop {
        let end = bytes.len().min(at + MOST);
        let header = ((end - at) as u32) << 3 | u32::from(end == bytes.len());
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(&bytes[at..end]);
        at = end;
        if at == bytes.len() {
            return frame;
        }
    }
}

/// One frame of blocks that are not compressed (LZ4 frame format 1.6): independent blocks of 64 KiB at most, no checksum
/// but that of its descriptor, which is the same for every such frame.
fn stored_lz4(bytes: &[u8]) -> Vec<u8> {
    const DESCRIPTOR: [u8; 3] = [0x60, 0x40, 0x82];
    let mut frame = 0x184D_2204u32.to_le_bytes().to_vec();
    frame.extend(DESCRIPTOR);
    for block in bytes.chunks(64 * 1024) {
        frame.extend((block.len() as u32 | 1 << 31).to_le_bytes());
        frame.extend(block);
    }
    frame.extend([0; 4]);
    frame
}

#[test]
fn a_stored_frame_is_what_the_systems_decoder_takes() {
    for (tool, frame) in [
        ("zstd", stored_zstd as fn(&[u8]) -> Vec<u8>),
        ("lz4", stored_lz4),
        ("xz", |bytes| FilePacker::Xz.pack(bytes)),
    ] {
        let text = b"line 1\nline 2\n";
        if filter(tool, b"").is_none() {
            continue;
        }
        let mut child =
            Command::new(tool).args(["-d", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&frame(text)).unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, text, "{tool}");
    }
}
