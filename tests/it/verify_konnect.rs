//! `auditpost verify-konnect`, from its arguments to its exit status.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Exit status, standard output and standard error.
fn verify(args: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auditpost"));
    command.arg("verify-konnect").args(args).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without reading what it is given.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const JWKS: [&str; 2] = ["--jwks", "konnect.jwks.json"];

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&JWKS, args].concat()
}

#[test]
fn each_record_is_told_by_file_and_line_and_the_status_tells_the_worst() {
    let (status, said, _) = verify(&with(&["konnect.ndjson", "konnect.cef", "konnect.cps.ndjson"]), b"");
    assert_eq!(status, 0, "{said}");
    assert!(said.starts_with("konnect.ndjson:1: valid, key d5f492668ea8e3a30119d7f1f2536313ece14f8a\n"), "{said}");
    assert!(said.ends_with("\n27 records: 27 valid, 0 invalid, 0 unsigned\n"), "{said}");

    let (status, said, _) = verify(&with(&["--quiet", "konnect.ndjson", "konnect.tampered.ndjson"]), b"");
    assert_eq!(status, 65);
    assert_eq!(
        said,
        "konnect.tampered.ndjson:1: INVALID: no key signed these bytes\n13 records: 12 valid, 1 invalid, 0 unsigned\n"
    );
}

#[test]
fn an_unsigned_record_is_an_error_only_where_that_is_asked_for() {
    let input =
        b"Jan 16 18:25:28 konghq.com CEF:0|KongInc|Konnect|1.0|konnect|Authz.portals|1|rt=1 user_agent=a sig=b c\r\n";
    let (status, said, _) = verify(&with(&["-"]), input);
    assert_eq!((status, said.as_str()), (0, "-:1: unsigned\n1 record: 0 valid, 0 invalid, 1 unsigned\n"));
    assert_eq!(verify(&with(&["--require-signed", "-"]), input).0, 65);
}

#[test]
fn what_cannot_be_read_is_named() {
    let (status, _, said) = verify(&with(&["konnect.cef", "nowhere"]), b"");
    assert_eq!(status, 74);
    assert!(said.contains("nowhere cannot be read: No such file"), "{said}");
    assert_eq!(verify(&["--jwks", "nowhere", "konnect.cef"], b"").0, 74);
    let (status, _, said) = verify(&["--jwks", "konnect.ndjson", "konnect.cef"], b"");
    assert_eq!(status, 65);
    assert!(said.contains("konnect.ndjson: it is no JWKS"), "{said}");
    assert_eq!(verify(&JWKS, b"").0, 64, "no file is named");
    assert_eq!(verify(&["konnect.cef"], b"").0, 64, "no keys are named");
}
