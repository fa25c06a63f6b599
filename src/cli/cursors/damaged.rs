//! `cursors forget --damaged`: the way out that the message of a damaged journal names.

use std::{io::Write, path::Path};

use crate::{
    forwarder::journal::{Journal, JournalError},
    lock::Lock,
};

use super::{ForgetArgs, confirm, known};
use crate::cli::{exit::Exit, failure::Failure};

/// Keeps a damaged journal beside and begins an empty one; leaves any other as it is.
pub(super) fn start_over(forget: &ForgetArgs, state_dir: &Path, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _lock = Lock::acquire(state_dir)?;
    let forwarder = &forget.forwarder;
    let (path, size, damage) = match Journal::read(state_dir, forwarder) {
        Err(JournalError::Damaged { path, size, damage }) => (path, size, damage),
        Err(error) => return Err(error.into()),
        Ok(_) => {
            known(state_dir, forwarder)?;
            return Err(Failure::usage(format!(
                "nothing was changed: the journal of {forwarder} is not damaged; to drop what it knows all the same, \
                 leave --damaged out"
            )));
        }
    };
    writeln!(out, "the journal {} ({size} bytes) {damage}", path.display())?;
    writeln!(
        out,
        "{forwarder} begins an empty one and the damaged one is kept beside it. Everything that the logs still hold is \
         sent to {forwarder} again, from the beginning, under new batch ids: the receiver gets duplicates, and no event \
         is lost."
    )?;
    confirm(forget.yes)?;
    let kept = Journal::start_over(state_dir, forwarder)?;
    writeln!(out, "done; the damaged journal is {}", kept.display())?;
    Ok(Exit::Ok)
}
