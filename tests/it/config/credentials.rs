//! Files with secrets: missing, empty, odd, swapped. What is wrong is said clearly, the value never.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
};

use super::{to, yaml};
use crate::{
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

const LOG: &str = "logs/audit.ndjson";
const TOKEN: &str = "CANARY-token-of-a-file";

fn guarded() -> Receiver {
    let siem = Receiver::start();
    siem.rule(|delivery| {
        let good = delivery.header("authorization") == Some(&format!("Bearer {TOKEN}"));
        Reply::status(if good { 200 } else { 401 })
    });
    siem
}

fn sidecar(siem: &Receiver) -> Sidecar {
    let sidecar = Sidecar::new().config(&yaml(&[to("siem", siem, ", tokenFile: \"{dir}/token\"")]));
    sidecar.write_lines(LOG, 0..10);
    sidecar
}

/// K5: what does not keep a token from being used.
#[test]
fn a_token_file_is_taken_as_people_write_it() {
    for (text, mode) in [(TOKEN.to_owned(), 0o600), (format!("{TOKEN}\n"), 0o644), (format!("{TOKEN}\r\n"), 0o400)] {
        let siem = guarded();
        let mut sidecar = sidecar(&siem);
        fs::write(sidecar.path("real"), &text).unwrap();
        fs::set_permissions(sidecar.path("real"), Permissions::from_mode(mode)).unwrap();
        symlink("real", sidecar.path("token")).unwrap();
        sidecar.start_again();
        siem.wait_for_lines(10);
        assert_eq!(siem.deliveries()[0].answer, Some(200), "{text:?}");
        assert_eq!(sidecar.stop(), 0);
        assert!(!sidecar.stderr().contains("CANARY"), "{}", sidecar.stderr());
    }
}

/// K5: what does. Nothing is sent with half a token; it mends itself once the file is good.
#[test]
fn a_token_file_that_cannot_be_used_is_named_and_waited_for() {
    for bad in [
        None,
        Some(&b""[..]),
        Some(b"\n"),
        Some(b"CANARY two\nlines\n"),
        Some(b"CANARY\n\n"),
        Some(b"CANARY\x00\xff\x01"),
    ] {
        let siem = guarded();
        let mut sidecar = sidecar(&siem);
        if let Some(bad) = bad {
            fs::write(sidecar.path("token"), bad).unwrap();
        }
        let (status, stdout, stderr) = sidecar.command(&["check"]);
        assert_eq!((status, stderr.as_str()), (0, ""), "the file may come later");
        assert_eq!(stdout.contains("cannot be read now"), bad.is_none(), "{stdout}");
        sidecar.start_again();
        let named = format!("token file {}", sidecar.path("token").display());
        sidecar.wait_for_log(&named);
        sidecar.wait_for_metrics("it is held", |metrics| metrics.state("siem") == Some("held"));
        assert_eq!(sidecar.get("/readyz").0, 200);
        fs::write(sidecar.path("token"), format!("{TOKEN}\n")).unwrap();
        siem.wait_for_lines(10);
        assert_eq!(siem.deliveries().len(), 1, "no request was made without the token");
        assert_eq!(sidecar.stop(), 0);
        assert!(!sidecar.stderr().contains("CANARY"), "{}", sidecar.stderr());
    }
}

/// K12: a mounted Secret is swapped by its `..data` link.
#[test]
fn a_secret_that_was_swapped_is_used_from_the_next_request_on() {
    let siem = guarded();
    let mut sidecar = sidecar(&siem);
    for (dir, token) in [("..v1", "CANARY-old"), ("..v2", TOKEN)] {
        sidecar.append(&format!("{dir}/token"), token);
    }
    symlink("..v1", sidecar.path("..data")).unwrap();
    symlink("..data/token", sidecar.path("token")).unwrap();
    sidecar.start_again();
    sidecar.wait_for_metrics("it is held", |metrics| metrics.state("siem") == Some("held"));
    assert_eq!(siem.accepted_lines().len(), 0);
    symlink("..v2", sidecar.path("..data_tmp")).unwrap();
    sidecar.rename("..data_tmp", "..data");
    assert_eq!(siem.wait_for_lines(10).len(), 10);
    assert_eq!(sidecar.stop(), 0);
}
