//! What a source says of the clients that connect to it.

use jiff::Timestamp;
use tracing::{error, info};

use super::spool_writer::SpoolWriter;
use crate::{
    accept_loop::AcceptEvent,
    alarm::{AlarmKind, AlarmSubject},
};

/// Counts the connections, and raises an alarm where none can be accepted or one ended with a panic.
pub fn note(spool_writer: &SpoolWriter, event: &AcceptEvent<'_>) {
    // Not the source itself: its file has an alarm of its own.
    let (source, subject) = (&*spool_writer.name, AlarmSubject::listener(&spool_writer.name));
    match event {
        AcceptEvent::Open(connections) => spool_writer.stats.set_connections(*connections as u64),
        AcceptEvent::CannotAccept(failure) => {
            let text = format!(
                "cannot accept connections ({failure}): clients wait; raise the limit of open files, or lower maxConnections"
            );
            error!(source, "{text}");
            spool_writer.alarms.raise(&subject, AlarmKind::File, text, Timestamp::now());
        }
        AcceptEvent::NoLongerFails => {
            info!(source, "accepting connections no longer fails");
            spool_writer.alarms.clear(&subject, AlarmKind::File);
        }
        AcceptEvent::Begins | AcceptEvent::Closed => {
            spool_writer.alarms.clear(&subject, AlarmKind::File);
        }
        AcceptEvent::Panicked => {
            let text =
                "a bug: the task of a connection panicked; what it had not put is lost unless it is sent again";
            error!(source, "{text}");
            spool_writer.alarms.raise(&subject, AlarmKind::Bug, text, Timestamp::now());
        }
    }
}
