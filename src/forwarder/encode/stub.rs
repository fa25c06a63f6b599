//! The event that stands where a line was too long, so that the receiver sees that something is missing and
//! which dead letter has it.

use serde::Serialize;

use super::cef;

/// CEF: above the 3 of an ordinary event, for somebody should look.
const SEVERITY: u8 = 6;

/// The longest `externalId`, in characters.
const EXTERNAL_ID: usize = 40;

/// What is known of a line that is above `maxEventBytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stub<'a> {
    /// The event id under which the line is in the dead letters.
    pub event_id: &'a str,
    /// The line's length without its line end.
    pub bytes: u64,
    /// Of the whole line, in lower-case hexadecimal digits.
    pub sha256: &'a str,
}

#[derive(Serialize)]
struct StubEnvelope<'a> {
    auditpost: StubBody<'a>,
}

#[derive(Serialize)]
struct StubBody<'a> {
    stub: &'static str,
    event_id: &'a str,
    bytes: u64,
    sha256: &'a str,
}

impl Stub<'_> {
    /// `{"auditpost":{"stub":"line_too_long","event_id":…,"bytes":…,"sha256":…}}`
    pub(super) fn json(&self, out: &mut Vec<u8>) {
        let Stub { event_id, bytes, sha256 } = *self;
        let envelope = StubEnvelope { auditpost: StubBody { stub: "line_too_long", event_id, bytes, sha256 } };
        serde_json::to_writer(out, &envelope).expect("a Vec takes every write and the stub is strings and a number");
    }

    /// The class id is `line_too_long`; the id is the `externalId` where it has room there.
    pub(super) fn cef(&self, encoder: &cef::CefEncoder, out: &mut Vec<u8>) {
        let fits = self.event_id.chars().count() <= EXTERNAL_ID;
        let id = if fits { "externalId" } else { "ad_event_id" };
        let pairs = [(id, self.event_id), ("ad_bytes", &self.bytes.to_string()), ("ad_sha256", self.sha256)];
        encoder.notice("line_too_long", "Line too long", SEVERITY, &pairs, out);
    }
}
