//! An event as an intake wants it: what the format wrote, in the wrapper that is configured, if any.
//!
//! The wrapper knows of the event's own time alone, never of the clock.

use std::borrow::Cow;

use super::{EventEncoder, Stub, time};
use crate::{
    config::{self, Format, TemplateInput, WrapTemplate},
    scan::Invalid,
    schema::{Event, EventForm, Needs},
};

/// Encodes and wraps the events of one source for one forwarder.
#[derive(Debug)]
pub struct EventWriter {
    encoder: EventEncoder,
    wrapper: Option<Wrapper>,
}

#[derive(Debug)]
struct Wrapper {
    template: WrapTemplate,
    source: String,
    /// What the format writes is JSON, where the event is.
    format: Format,
    uses_time: bool,
    scratch: Vec<u8>,
}

impl EventWriter {
    pub fn new(forwarder: &config::Forwarder, source: &str) -> Self {
        let encoder = EventEncoder::of(forwarder, source);
        let wrapper = forwarder.wrap.as_ref().map(|wrap| Wrapper {
            template: wrap.event.clone(),
            source: source.to_owned(),
            format: forwarder.format,
            uses_time: wrap.event.uses_time(),
            scratch: Vec::new(),
        });
        Self { encoder, wrapper }
    }

    /// How many values were cut to the length of their key since this was last asked.
    pub fn take_cuts(&mut self) -> u64 {
        self.encoder.take_cuts()
    }

    /// What events must have been checked for.
    pub fn needs(&self) -> Needs {
        match &self.wrapper {
            Some(wrapper) if wrapper.uses_time => self.encoder.needs().max(time::NEEDED),
            _ => self.encoder.needs(),
        }
    }

    /// Whether an event of its form can be sent. Whatever it is, it can be wrapped: what is no JSON becomes a string.
    pub fn takes(&self, event: &Event<'_>) -> Result<(), Invalid> {
        if self.wrapper.is_some() { Ok(()) } else { self.encoder.takes(event) }
    }

    /// Appends the event to `out`.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let Self { encoder, wrapper } = self;
        let Some(wrapper) = wrapper else { return encoder.encode(event, out) };
        let Wrapper { template, source, format, uses_time, scratch } = wrapper;
        let time = if *uses_time { time::of(event) } else { None };
        let (text, is_json) = match (*format, &event.form) {
            (Format::Json, EventForm::Json(json)) => (Cow::Borrowed(json.text), true),
            (Format::Json, EventForm::Raw | EventForm::Cef(_)) => (String::from_utf8_lossy(event.line), false),
            (Format::Cef, _) => {
                scratch.clear();
                encoder.encode(event, scratch);
                (String::from_utf8_lossy(scratch), false)
            }
        };
        template.fill(&TemplateInput { event: &text, is_json, time, source }, out);
    }

    /// Appends what takes the place of a line that was too long to be an event. It has no time.
    pub fn write_stub(&self, stub: &Stub<'_>, out: &mut Vec<u8>) {
        let Some(wrapper) = &self.wrapper else { return self.encoder.stub(stub, out) };
        let mut text = Vec::new();
        self.encoder.stub(stub, &mut text);
        let (event, is_json) = (&*String::from_utf8_lossy(&text), wrapper.format == Format::Json);
        wrapper.template.fill(&TemplateInput { event, is_json, time: None, source: &wrapper.source }, out);
    }
}
