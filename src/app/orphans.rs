//! What the state directory keeps of forwarders and sources that are no longer configured. It is said and never
//! removed: a name that comes back goes on where it stood.

use std::{collections::BTreeSet, path::Path};

use tracing::warn;

use crate::{
    config::{self, Config},
    forwarder::journal::{self, Journal, Recovered},
};

/// Names that have cursors in the state directory and no forwarder in the configuration.
pub(super) fn forwarders(state_dir: &Path, config: &Config) -> Vec<String> {
    let configured: BTreeSet<&str> = config.forwarders.iter().map(|forwarder| forwarder.name.as_str()).collect();
    // A directory that cannot be listed is told of where it is needed.
    let known = journal::forwarders(state_dir).unwrap_or_default();
    // What was forgotten leaves an empty journal; one that cannot be read is told of where it is needed.
    let stands = |name: &String| match Journal::read(state_dir, name) {
        Ok(recovered) => recovered.is_some_and(|recovered| !recovered.read_cursors.is_empty()),
        Err(_) => true,
    };
    known.into_iter().filter(|name| !configured.contains(name.as_str()) && stands(name)).collect()
}

pub(super) fn tell_of_forwarder(name: &str) {
    warn!(
        forwarder = name,
        "no longer configured: what it has not delivered is not sent, its cursors are kept; add it again and it goes \
         on there, or drop them with `auditpost cursors forget`"
    );
}

/// A forwarder has cursors in sources that it does not follow any more. Where one of them was renamed, its files are
/// about to be read again, which must not happen in silence.
pub(super) fn tell_of_sources(forwarder: &config::Forwarder, recovered: &Recovered) {
    for source in recovered.read_cursors.keys().filter(|source| !forwarder.sources.contains(*source)) {
        warn!(
            forwarder = forwarder.name,
            source,
            "it no longer follows this source, its cursors there are kept; if the source was renamed, files of the \
             new name are read from their beginning and events are delivered again: to go on instead, give it its \
             old name"
        );
    }
}
