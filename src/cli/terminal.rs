//! What the commands print, and how.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

/// Whether standard output may have colours: on a terminal, and unless `NO_COLOR` says otherwise.
pub(super) fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

/// Prints a result. A closed pipe is an error of the kind `BrokenPipe`, on which a command ends quietly.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Says on standard error why a command cannot do its work.
pub(super) fn complain(command: &str, text: &str) {
    // With standard error closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "auditpost {command}: {text}");
}

/// Text that others wrote: control characters, and those that turn the direction of text, become `\u{1b}`, so that
/// they can neither steer the terminal nor hide anything.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            // Writing to a `String` cannot fail.
            let _ = write!(escaped, "\\u{{{:x}}}", c as u32);
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}
