//! Any line through checker and encoders, as any system's, in each dialect: no panic, one line out, twice the same.
//!
//! To begin with known records, copy the lines of `tests/samples` into `fuzz/corpus/encode`, a file each.
#![no_main]

use auditpost::{
    config::{Cef, Dialect, Framing, Ipv6, Mapped, MappedFrom, MappedKey, PrefixPart, Schema},
    forwarder::{
        batch::{Body, Fit, Pushed},
        encode::{Encoder, cef::Key},
    },
    log::{Range, SegmentId},
    schema::{Checker, Field, Needs},
};
use libfuzzer_sys::fuzz_target;

const SCHEMAS: [Schema; 8] = [
    Schema::Auto,
    Schema::Connect,
    Schema::Infrakitchen,
    Schema::Konnect,
    Schema::Chainloop,
    Schema::Kubernetes,
    Schema::Vault,
    Schema::Raw,
];

fuzz_target!(|line: &[u8]| {
    if line.contains(&b'\n') {
        return;
    }
    twice(Schema::Auto, Encoder::Json, line, |body| assert_eq!(body, line));
    for schema in SCHEMAS {
        for settings in settings() {
            twice(schema, Encoder::cef(&settings, "fuzz"), line, |body| {
                let text = std::str::from_utf8(body).expect("CEF is UTF-8");
                assert!(!text.contains(['\n', '\r']));
                assert!(text.contains("CEF:"), "{text}");
                let own = settings.dialect == Dialect::Strict && settings.prefix.is_empty();
                assert!(!own || text.starts_with("CEF:0|") || line.windows(4).any(|word| word == b"CEF:"), "{text}");
            });
        }
    }
});

fn settings() -> [Cef; 3] {
    let konnect = Cef { dialect: Dialect::Konnect, ..Cef::default() };
    let mapped = |key, from| Mapped { key, from };
    let all = Cef {
        host: Some("node-1".to_owned()),
        prefix: vec![PrefixPart::Time, PrefixPart::Text(" ".to_owned()), PrefixPart::Host],
        map: vec![
            mapped(MappedKey::Dictionary(Key::Cs1, Some("x".to_owned())), MappedFrom::Pointer(vec!["a".to_owned()])),
            mapped(MappedKey::Dictionary(Key::Rt, None), MappedFrom::Field(Field::Time)),
            mapped(MappedKey::Own("own".to_owned()), MappedFrom::Field(Field::ActorName)),
        ],
        ipv6: Ipv6::C6a2,
        leading_space: true,
        raw_event: true,
        ..Cef::default()
    };
    [Cef::default(), konnect, all]
}

/// Encodes the line, where it is an event, two times into one body.
fn twice(schema: Schema, mut encoder: Encoder, line: &[u8], check: impl Fn(&[u8])) {
    let mut checker = Checker::new(schema, encoder.needs().max(Needs::Type));
    let Ok(event) = checker.check(line) else { return };
    if encoder.takes(&event).is_err() {
        return;
    }
    let fit = Fit { max_events: 10, max_bytes: usize::MAX };
    let mut body = Body::new(Framing::Lines);
    for n in 0..2 {
        let range = Range { segment: SegmentId(1), start: n, end: n + 1 };
        assert_eq!(body.push(&fit, range, false, |out| encoder.encode(&event, out)), Pushed::In);
    }
    body.finish();
    assert_eq!(body.event_bytes(0), body.event_bytes(1));
    check(body.event_bytes(0));
}
