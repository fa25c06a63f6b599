//! What the formats of events allow, whoever writes them: below the configuration, which names their keys, and the
//! forwarder, which encodes.

mod cef_dictionary;

pub use cef_dictionary::{CONSUMERS, CefKey, CefKeySet, CefValueKind, RESERVED};
