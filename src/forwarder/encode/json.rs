//! JSON: the record as it is, byte for byte, so that signatures over it stay true.

use crate::schema::Event;

pub(super) fn encode(event: &Event<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(event.line);
}
