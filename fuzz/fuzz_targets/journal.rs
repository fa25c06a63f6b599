//! Any bytes as a journal: it opens, or says why not and leaves the file as it is; never a panic, and what opens
//! opens again to the same.
#![no_main]

use std::fs;

use auditpost::internals::Journal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let home = dir.path().join("forwarders").join("f");
    fs::create_dir_all(&home).expect("it is empty");
    for directory in [dir.path(), &dir.path().join("forwarders"), &home] {
        fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("it is ours");
    }
    let path = home.join("journal");
    let mut text = b"".to_vec();
    // Lines that the input has without a checksum get one, so that more than the first check is met.
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(json) = line.strip_suffix(b"\n")
            && json.first() == Some(&b'{')
        {
            text.extend(format!("{:08x} ", checksum(json)).bytes());
        }
        text.extend(line);
    }
    fs::write(&path, &text).expect("there is room");
    match Journal::open(dir.path(), "f") {
        Ok((journal, first)) => {
            drop(journal);
            let (_, second) = Journal::open(dir.path(), "f").expect("what was opened opens again");
            assert_eq!(
                (first.next_batch, first.read_cursors, first.outstanding),
                (second.next_batch, second.read_cursors, second.outstanding)
            );
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(fs::read(&path).expect("it is still there"), text);
        }
    }
});

/// IEEE CRC-32, a bit at a time: the fuzzer needs no speed here.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}
