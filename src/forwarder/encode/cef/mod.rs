//! CEF, version 0: what is written where. How it is written, so that no value can become a second line, key or
//! header field, is [`CefWriter`]'s.
//!
//! Source: ArcSight "CEF Implementation Standard" (document version 27), and what its common readers do.

mod generic;
#[cfg(test)]
mod tests;
mod writer;

pub use writer::{CefWriter, Header};

use crate::event::{Event, Form};

/// The longest `externalId`, in characters; a longer id goes whole under a key of ours instead.
pub const EXTERNAL_ID: usize = 40;

const VENDOR: &str = "auditpost";
/// Of the mapping, not of the program: the same record has the same bytes under the next release.
const MAPPING_VERSION: &str = "1.0";
const DEFAULT_CLASS: &str = "event";
/// The severity of an event that states none from 0 to 10.
const DEFAULT_SEVERITY: u8 = 3;

/// Encodes the events of one source.
#[derive(Debug)]
pub struct Encoder {
    product: String,
    scratch: generic::Scratch,
}

impl Encoder {
    /// `product` is the source's name.
    pub fn new(product: &str) -> Encoder {
        Encoder { product: product.to_owned(), scratch: generic::Scratch::default() }
    }

    pub fn product(&self) -> &str {
        &self.product
    }

    pub fn encode(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event.form {
            Form::Json(json) => match json.fields.and_then(|fields| Some((fields, fields.members()?))) {
                Some((fields, members)) if json.is_object() => {
                    let Encoder { product, scratch } = self;
                    let event_type = event.event_type;
                    generic::Object { product, event_type, text: json.text, fields, members }.encode(scratch, out);
                }
                _ => self.whole(event, json.text, out),
            },
            Form::Cef(record) => self.whole(event, record.text, out),
            Form::Raw => self.whole(event, &String::from_utf8_lossy(event.line), out),
        }
    }

    /// The event as one value: text, JSON that is no object, or an object with too many members to set apart.
    fn whole(&self, event: &Event<'_>, text: &str, out: &mut Vec<u8>) {
        let class_id = event.event_type.filter(|text| !text.trim().is_empty()).unwrap_or(DEFAULT_CLASS);
        let header = header(&self.product, class_id, class_id, DEFAULT_SEVERITY);
        let mut cef = CefWriter::begin(out, &header);
        if !cef.pair_within("msg", text, MESSAGE) {
            cef.pair("ad_event", text);
        }
    }
}

/// The longest `msg` in characters.
const MESSAGE: usize = 1023;

/// The header of a line of ours.
pub(super) fn header<'a>(product: &'a str, class_id: &'a str, name: &'a str, severity: u8) -> Header<'a> {
    Header { vendor: VENDOR, product, version: MAPPING_VERSION, class_id, name, severity }
}
