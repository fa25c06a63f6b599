//! `auditpost verify-konnect`: whether Kong Konnect's audit records are as Konnect signed them.
//!
//! It reads files and public keys and contacts nothing: `GET https://REGION.api.konghq.com/v2/audit-log-webhook/jwks.json` gives
//! the keys. A valid signature says where a record comes from and that it was not changed; it does not say that none is missing.

mod keys;
mod record;

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use keys::KonnectKeys;
use record::KonnectRecord;

use super::{
    exit::Exit,
    failure::{Failure, report},
    printable::printable,
};

/// A longer line is no record: it is passed over in bounded memory.
const LONGEST: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub struct VerifyKonnectArgs {
    /// The public keys, as Konnect's jwks.json has them; all of them are tried
    #[arg(long)]
    jwks: PathBuf,
    /// Files of records, one a line: CEF, JSON or CPS; - is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print no valid records
    #[arg(short, long)]
    quiet: bool,
    /// Count an unsigned record as an invalid one
    #[arg(long)]
    require_signed: bool,
}

/// How many records there were of each kind.
#[derive(Debug, Default, PartialEq, Eq)]
struct VerificationCounts {
    valid: u64,
    invalid: u64,
    unsigned: u64,
}

/// Says of each record whether it is valid, and ends with [`Exit::Invalid`] where one is not.
pub fn run(args: &VerifyKonnectArgs) -> Exit {
    report(|out| execute(args, out))
}

fn execute(args: &VerifyKonnectArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let keys = keys(&args.jwks)?;
    let mut verifier =
        Verifier { keys, quiet: args.quiet, out, closed: false, counts: VerificationCounts::default() };
    for path in &args.files {
        let file: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(|error| unreadable(path, &error))?)
        };
        let name = printable(&path.display().to_string());
        verifier.read(&name, BufReader::with_capacity(1 << 18, file)).map_err(|error| unreadable(path, &error))?;
    }
    let counts = verifier.finish()?;
    let bad = counts.invalid + if args.require_signed { counts.unsigned } else { 0 };
    Ok(if bad > 0 { Exit::Invalid } else { Exit::Ok })
}

/// The keys that can be used; of others it is said on standard error why not.
fn keys(path: &Path) -> Result<KonnectKeys, Failure> {
    let invalid = |why: String| Failure::Told(Exit::Invalid, format!("{}: {why}", path.display()));
    let text = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let keys = KonnectKeys::read(&text).map_err(invalid)?;
    for skipped in &keys.skipped {
        // Nobody is left to be told where this fails.
        let _ = writeln!(io::stderr(), "auditpost: {}: {}", path.display(), printable(skipped));
    }
    if keys.keys.is_empty() {
        return Err(invalid("it holds no Ed25519 key that can be used".to_owned()));
    }
    Ok(keys)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Told(Exit::Storage, format!("{} cannot be read: {error}", path.display()))
}

struct Verifier<'o> {
    keys: KonnectKeys,
    quiet: bool,
    out: &'o mut dyn Write,
    /// Nobody reads what is printed any more; the exit status still tells.
    closed: bool,
    counts: VerificationCounts,
}

impl Verifier<'_> {
    fn read(&mut self, name: &str, mut file: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        for number in 1u64.. {
            line.clear();
            if file.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.len() as u64 == LONGEST && !line.ends_with(b"\n") {
                pass_over(&mut file)?;
                line.clear();
                line.extend_from_slice(b"(a line above 16 MiB)");
            }
            if !line.trim_ascii().is_empty() {
                self.verify(name, number, line.strip_suffix(b"\n").unwrap_or(&line))?;
            }
        }
        Ok(())
    }

    fn verify(&mut self, name: &str, number: u64, line: &[u8]) -> io::Result<()> {
        let (count, said) = match record::read(line) {
            KonnectRecord::Signed { signature, payloads } => match self.keys.signer(&payloads, &signature) {
                Some(key) => {
                    self.counts.valid += 1;
                    if self.quiet {
                        return Ok(());
                    }
                    return self.print(&format!("{name}:{number}: valid, key {}", printable(&key.id)));
                }
                None => (&mut self.counts.invalid, "INVALID: no key signed these bytes".to_owned()),
            },
            KonnectRecord::Broken(why) => (&mut self.counts.invalid, format!("INVALID: {why}")),
            KonnectRecord::Unsigned("") => (&mut self.counts.unsigned, "unsigned".to_owned()),
            KonnectRecord::Unsigned(why) => (&mut self.counts.unsigned, format!("unsigned: {why}")),
        };
        *count += 1;
        self.print(&format!("{name}:{number}: {said}"))
    }

    fn finish(mut self) -> io::Result<VerificationCounts> {
        let VerificationCounts { valid, invalid, unsigned } = self.counts;
        let all = valid + invalid + unsigned;
        let records = if all == 1 { "record" } else { "records" };
        self.print(&format!("{all} {records}: {valid} valid, {invalid} invalid, {unsigned} unsigned"))?;
        Ok(self.counts)
    }

    /// A pipe that is closed ends the printing, not the verifying.
    fn print(&mut self, line: &str) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        match writeln!(self.out, "{line}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => result,
        }
    }
}

/// Reads to the end of the line and keeps nothing of it.
fn pass_over(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = file.fill_buf()?;
        let (length, ends) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        file.consume(length);
        if ends {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const JWKS: &[u8] = include_bytes!("../../../tests/samples/konnect.jwks.json");
    const NDJSON: &str = include_str!("../../../tests/samples/konnect.ndjson");
    const CEF: &str = include_str!("../../../tests/samples/konnect.cef");
    const CPS: &str = include_str!("../../../tests/samples/konnect.cps.ndjson");

    fn verified(text: &[u8]) -> (String, VerificationCounts) {
        let mut out = Vec::new();
        let keys = KonnectKeys::read(JWKS).unwrap();
        let mut verifier =
            Verifier { keys, quiet: false, out: &mut out, closed: false, counts: VerificationCounts::default() };
        verifier.read("f", text).unwrap();
        let counts = verifier.finish().unwrap();
        (String::from_utf8(out).unwrap(), counts)
    }

    fn counts(text: &str) -> (u64, u64, u64) {
        let VerificationCounts { valid, invalid, unsigned } = verified(text.as_bytes()).1;
        (valid, invalid, unsigned)
    }

    #[test]
    fn every_signed_sample_is_valid_with_either_line_end() {
        for (sample, records) in [(NDJSON, 12), (CEF, 12), (CPS, 3)] {
            assert_eq!(counts(sample), (records, 0, 0));
            assert_eq!(counts(&sample.replace('\n', "\r\n")), (records, 0, 0));
            assert_eq!(counts(sample.trim_end()), (records, 0, 0), "the last line needs no end");
        }
    }

    #[test]
    fn a_sample_that_was_tampered_with_is_invalid() {
        assert_eq!(counts(include_str!("../../../tests/samples/konnect.tampered.ndjson")), (0, 1, 0));
    }

    #[test]
    fn old_samples_of_either_kind_are_told_apart_and_what_is_no_record_is_invalid() {
        assert_eq!(counts(include_str!("../../../tests/samples/konnect.legacy.ndjson")), (3, 0, 0));
        assert_eq!(counts(include_str!("../../../tests/samples/konnect.legacy.cef")), (2, 0, 2));
        let (said, counts) = verified(b"\nno record\n\n\xff\n");
        assert_eq!(counts, VerificationCounts { valid: 0, invalid: 2, unsigned: 0 });
        assert!(said.starts_with("f:2: INVALID: it is neither CEF nor a JSON object\nf:4: INVALID"), "{said}");
        assert!(said.ends_with("2 records: 0 valid, 2 invalid, 0 unsigned\n"), "{said}");
    }

    #[test]
    fn no_single_byte_of_a_record_can_be_changed() {
        let lines = [NDJSON, CEF, CPS].map(|sample| sample.lines().next().unwrap().as_bytes());
        for line in lines {
            for at in 0..line.len() {
                let mut changed = line.to_vec();
                changed[at] ^= 1;
                // A changed byte may end the line, or the signature: then it is two records, or none that is signed.
                assert_eq!(verified(&changed).1.valid, 0, "byte {at} of {}", String::from_utf8_lossy(line));
            }
        }
    }

    #[test]
    fn a_signature_of_another_record_in_a_user_agent_makes_nothing_valid() {
        let signed = CEF.lines().next().unwrap();
        let (payload, sig) = signed.rsplit_once(" sig=").unwrap();
        let forged = payload.replace("src=198.51.100.23", "src=203.0.113.9");
        assert_ne!(forged, payload);
        for line in [
            format!("{forged} sig={sig}"),
            // What a reader of the first sig= would take for the end of a valid record.
            format!("{payload} sig={sig} more=1 sig={}", "A".repeat(86)),
            format!("{forged} user_agent=x sig={sig} sig={sig}"),
        ] {
            assert_eq!(counts(&line), (0, 1, 0), "{line}");
        }
    }

    #[test]
    fn every_key_is_tried_and_another_key_is_not_enough() {
        let text = std::str::from_utf8(JWKS).unwrap();
        let other =
            r#"{"kty":"OKP","crv":"Ed25519","kid":"other","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},"#;
        let first = text.replacen('[', &format!("[{other}"), 1);
        let line = NDJSON.lines().next().unwrap().as_bytes();
        let KonnectRecord::Signed { signature, payloads } = record::read(line) else { panic!("it is signed") };
        let signer = |jwks: &str| {
            KonnectKeys::read(jwks.as_bytes()).unwrap().signer(&payloads, &signature).map(|key| key.id.clone())
        };
        assert_eq!(signer(&first).as_deref(), Some("d5f492668ea8e3a30119d7f1f2536313ece14f8a"));
        assert_eq!(signer(&format!("{{\"keys\":[{}]}}", other.trim_end_matches(','))), None);
    }

    #[test]
    fn a_line_of_any_length_is_passed_over_in_bounded_memory() {
        let signed = NDJSON.lines().next().unwrap().as_bytes();
        let long = vec![b'x'; LONGEST as usize + 10];
        let (said, counts) = verified(&[&long, &b"\n"[..], signed].concat());
        assert_eq!(counts, VerificationCounts { valid: 1, invalid: 1, unsigned: 0 });
        assert!(said.contains("f:2: valid, key d5f49"), "{said}");
    }
}
