//! What the demo prints: plain lines, a line of progress on a terminal, and a verdict for each claim.

use std::io::{self, IsTerminal, Write};

use crate::cli::terminal;

const GREEN: &str = "32";
const RED: &str = "31";
const BOLD: &str = "1";

/// A line of progress must not wrap, or it could not be written over.
const WIDTH: usize = 79;

/// Where the demo is watched, and how it fares.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    colours: bool,
    /// Whether progress is shown: on a terminal only.
    live: bool,
    /// Characters of the line of progress that is shown now.
    shown: usize,
    held: usize,
    failed: usize,
}

impl Screen {
    /// Standard output.
    pub(super) fn new() -> Self {
        let live = io::stdout().is_terminal();
        Self { out: Box::new(io::stdout()), colours: terminal::colours(), live, shown: 0, held: 0, failed: 0 }
    }

    /// The heading of an act.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.paint(BOLD, text);
        self.line(&format!("\n{text}"))
    }

    /// A line of the play.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        let wipe = self.wipe();
        self.print(&format!("{wipe}{text}\n"))
    }

    /// Shows how far it is, in place of what was shown before.
    pub(super) fn progress(&mut self, text: &str) -> io::Result<()> {
        if !self.live {
            return Ok(());
        }
        let wipe = self.wipe();
        let line: String = format!("   … {text}").chars().take(WIDTH).collect();
        self.shown = line.chars().count();
        self.print(&format!("{wipe}{line}"))
    }

    /// A claim and whether it holds; `found` says what was seen where it does not.
    pub(super) fn check(&mut self, holds: bool, claim: &str, found: &str) -> io::Result<()> {
        if holds {
            self.held += 1;
            let ok = self.paint(GREEN, "ok");
            self.line(&format!("   {ok}      {claim}"))
        } else {
            self.failed += 1;
            let failed = self.paint(RED, "FAILED");
            self.line(&format!("   {failed}  {claim}; found: {found}"))
        }
    }

    /// How many claims held, and how many did not.
    pub(super) fn verdicts(&self) -> (usize, usize) {
        (self.held, self.failed)
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Blanks and no escape sequences: they work everywhere.
    fn wipe(&mut self) -> String {
        match std::mem::take(&mut self.shown) {
            0 => String::new(),
            shown => format!("\r{}\r", " ".repeat(shown)),
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Drop for Screen {
    /// What comes next on the terminal, an error or the shell, begins on a line of its own.
    fn drop(&mut self) {
        let wipe = self.wipe();
        let _ = self.print(&wipe);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A screen that can be read afterwards.
    #[derive(Clone, Default)]
    pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        pub(crate) fn screen(&self, live: bool) -> Screen {
            Screen { out: Box::new(self.clone()), colours: live, live, shown: 0, held: 0, failed: 0 }
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_gets_plain_lines_and_no_progress() {
        let paper = Paper::default();
        let mut screen = paper.screen(false);
        screen.heading("1. Act").unwrap();
        screen.progress("half").unwrap();
        screen.check(true, "two and two is four", "").unwrap();
        screen.check(false, "two and two is five", "4").unwrap();
        assert_eq!(screen.verdicts(), (1, 1));
        drop(screen);
        let text = "\n1. Act\n   ok      two and two is four\n   FAILED  two and two is five; found: 4\n";
        assert_eq!(paper.text(), text);
    }

    #[test]
    fn a_terminal_gets_progress_that_leaves_no_trace() {
        let paper = Paper::default();
        let mut screen = paper.screen(true);
        screen.progress("half").unwrap();
        screen.line("done").unwrap();
        screen.progress(&"long ".repeat(100)).unwrap();
        drop(screen);
        let text = paper.text();
        assert!(text.starts_with("   … half\r         \rdone\n"), "{text:?}");
        assert!(text.ends_with(&format!("\r{}\r", " ".repeat(WIDTH))), "{text:?}");
    }
}
