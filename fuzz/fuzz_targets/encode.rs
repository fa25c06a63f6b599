//! Any line through checker and encoders, as any system's, in each dialect: no panic, one line out, twice the same.
//!
//! To begin with known records, copy the lines of `tests/samples` into `fuzz/corpus/encode`, a file each.
#![no_main]

use std::cell::RefCell;

use auditpost::internals::{
    BatchBody, BodyLimits, CefConfig, CefKey, Checker, Dialect, EventEncoder, Field, Framing, Ipv6, Mapped,
    MappedFrom, MappedKey, Needs, PrefixPart, Pushed, Schema, SegmentId, SegmentRange,
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

/// One reader of lines and one writer of events, used again for every line as a forwarder does.
struct Way {
    checker: Checker,
    encoder: EventEncoder,
    settings: Option<CefConfig>,
}

thread_local! {
    static WAYS: RefCell<Vec<Way>> = RefCell::new(ways());
}

fuzz_target!(|line: &[u8]| {
    if !line.contains(&b'\n') {
        WAYS.with_borrow_mut(|ways| ways.iter_mut().for_each(|way| way.try_line(line)));
    }
});

fn ways() -> Vec<Way> {
    let of = |schema, encoder: EventEncoder, settings| {
        let checker = Checker::new(schema, encoder.needs().max(Needs::Type));
        Way { checker, encoder, settings }
    };
    let cef = SCHEMAS.into_iter().flat_map(|schema| settings().map(|settings| (schema, settings)));
    let cef = cef.map(|(schema, settings)| of(schema, EventEncoder::cef(&settings, "fuzz"), Some(settings)));
    [of(Schema::Auto, EventEncoder::Json, None)].into_iter().chain(cef).collect()
}

fn settings() -> [CefConfig; 3] {
    let konnect = CefConfig { dialect: Dialect::Konnect, ..CefConfig::default() };
    let mapped = |key, from| Mapped { key, from };
    let all = CefConfig {
        host: Some("node-1".to_owned()),
        prefix: vec![PrefixPart::Time, PrefixPart::Text(" ".to_owned()), PrefixPart::Host],
        map: vec![
            mapped(
                MappedKey::Dictionary(CefKey::Cs1, Some("x".to_owned())),
                MappedFrom::Pointer(vec!["a".to_owned()]),
            ),
            mapped(MappedKey::Dictionary(CefKey::Rt, None), MappedFrom::Field(Field::Time)),
            mapped(MappedKey::Own("own".to_owned()), MappedFrom::Field(Field::ActorName)),
        ],
        ipv6: Ipv6::C6a2,
        leading_space: true,
        raw_event: true,
        ..CefConfig::default()
    };
    [CefConfig::default(), konnect, all]
}

impl Way {
    /// Encodes the line, where it is an event, two times into one body.
    fn try_line(&mut self, line: &[u8]) {
        let Way { checker, encoder, settings } = self;
        let Ok(event) = checker.check(line) else { return };
        if encoder.takes(&event).is_err() {
            return;
        }
        let fit = BodyLimits { max_events: 10, max_bytes: usize::MAX };
        let mut body = BatchBody::new(Framing::Lines);
        for n in 0..2 {
            let range = SegmentRange { segment: SegmentId(1), start: n, end: n + 1 };
            encoder.encode(&event, body.begin_event(&fit).expect("there is room"));
            assert_eq!(body.end_event(&fit, range, false), Pushed::In);
        }
        body.finish();
        assert_eq!(body.event_bytes(0), body.event_bytes(1));
        let Some(settings) = settings else {
            return assert_eq!(body.event_bytes(0), line);
        };
        let text = std::str::from_utf8(body.event_bytes(0)).expect("CEF is UTF-8");
        assert!(!text.contains(['\n', '\r']) && text.contains("CEF:"), "{text}");
        // A line that was CEF may have a prefix of its own.
        let own = settings.prefix.is_empty() && !line.windows(4).any(|word| word == b"CEF:");
        assert!(!own || text.starts_with("CEF:0|"), "{text}");
    }
}
