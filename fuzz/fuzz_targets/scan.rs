//! Any line: the scanner and serde_json agree on whether it is JSON, but for the depth limit.
#![no_main]

use auditpost::internals::{Invalid, Nothing, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let theirs =
        std::str::from_utf8(line).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    match scan(line, &mut Nothing) {
        Ok(_) => assert!(theirs, "accepted what serde_json refuses"),
        Err(Invalid::TooDeep { .. }) => {}
        Err(_) => assert!(!theirs, "refused what serde_json accepts"),
    }
});
