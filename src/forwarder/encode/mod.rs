//! An event's bytes as the receiver wants them.
//!
//! Encoding depends on the record and the configuration alone, never on the clock, the version or what was
//! encoded before: an event that is sent again, after a restart too, has the same bytes. It never fails for a
//! valid event, writes no line end, and copies nothing but into the body.

pub mod cef;
mod json;
mod stub;
mod time;
mod wrap;

pub use stub::Stub;
pub use wrap::EventWriter;

use crate::{
    config::{self, Format},
    scan::Invalid,
    schema::{Event, EventForm, Needs},
};

/// Encodes the events of one source.
#[derive(Debug)]
pub enum EventEncoder {
    Json,
    Cef(Box<cef::CefEncoder>),
}

impl EventEncoder {
    /// `source` is the source's name, which CEF names as the product.
    pub fn new(format: Format, source: &str) -> EventEncoder {
        match format {
            Format::Json => EventEncoder::Json,
            Format::Cef => EventEncoder::cef(&config::CefConfig::default(), source),
        }
    }

    /// As the forwarder is configured to send it.
    pub fn of(forwarder: &config::Forwarder, source: &str) -> EventEncoder {
        match forwarder.format {
            Format::Json => EventEncoder::Json,
            Format::Cef => EventEncoder::cef(&forwarder.cef, source),
        }
    }

    pub fn cef(settings: &config::CefConfig, source: &str) -> EventEncoder {
        EventEncoder::Cef(Box::new(cef::CefEncoder::new(settings, source)))
    }

    /// What events must have been checked for to be encoded field by field.
    pub fn needs(&self) -> Needs {
        match self {
            EventEncoder::Json => Needs::Validity,
            EventEncoder::Cef(_) => Needs::Members,
        }
    }

    /// Whether an event of its form can be sent in this format: a line of CEF among JSON would break the receiver's
    /// parser, and JSON around it would be another record than the one that was signed.
    pub fn takes(&self, event: &Event<'_>) -> Result<(), Invalid> {
        match (self, event.form) {
            (EventEncoder::Json, EventForm::Cef(_)) => Err(Invalid::Cef),
            _ => Ok(()),
        }
    }

    /// Appends the event to `out`. CEF sets an event of which the members are not known in one key as a whole.
    pub fn encode(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            EventEncoder::Json => json::encode(event, out),
            EventEncoder::Cef(encoder) => encoder.encode(event, out),
        }
    }

    /// How many values were cut to the length of their key since this was last asked.
    pub fn take_cuts(&mut self) -> u64 {
        match self {
            EventEncoder::Json => 0,
            EventEncoder::Cef(encoder) => encoder.take_cuts(),
        }
    }

    /// Appends what takes the place of a line that was too long to be an event.
    pub fn stub(&self, stub: &Stub<'_>, out: &mut Vec<u8>) {
        match self {
            EventEncoder::Json => stub.json(out),
            EventEncoder::Cef(encoder) => stub.cef(encoder, out),
        }
    }
}
