//! Any line through checker, filter and encoders: no panic, one line out, twice the same.
#![no_main]

use auditpost::{
    config::{Format, Framing, Schema},
    forwarder::{
        batch::{Body, Fit, Pushed},
        encode::Encoder,
    },
    log::{Range, SegmentId},
    schema::{Checker, Needs},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    if line.contains(&b'\n') {
        return;
    }
    for (format, schema) in [(Format::Json, Schema::Auto), (Format::Cef, Schema::Auto), (Format::Cef, Schema::Raw)] {
        let mut encoder = Encoder::new(format, "fuzz");
        let mut checker = Checker::new(schema, encoder.needs().max(Needs::Type));
        let Ok(event) = checker.check(line) else { continue };
        let fit = Fit { max_events: 10, max_bytes: usize::MAX };
        let mut body = Body::new(Framing::Lines);
        for n in 0..2 {
            let range = Range { segment: SegmentId(1), start: n, end: n + 1 };
            assert_eq!(body.push(&fit, range, false, |out| encoder.encode(&event, out)), Pushed::In);
        }
        body.finish();
        assert_eq!(body.event_bytes(0), body.event_bytes(1));
        if format == Format::Cef {
            let text = std::str::from_utf8(body.event_bytes(0)).expect("CEF is UTF-8");
            assert!(!text.contains(['\n', '\r']) && text.starts_with("CEF:0|"));
        } else {
            assert_eq!(body.event_bytes(0), line);
        }
    }
});
