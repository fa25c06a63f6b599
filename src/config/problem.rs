//! What is wrong with a configuration, as the operator reads it.
//!
//! No text here holds a secret: values are named as they are written (`${SIEM_TOKEN}`), never as they are, and a
//! quoted line is masked.

use std::fmt;

use super::{path::Path, quote::Quote, tree::YamlPosition};

/// One thing that is wrong. `{:#}` leaves the quoted line out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) file: String,
    /// `None` where it is the file itself: it cannot be read.
    pub(super) place: Option<YamlPosition>,
    pub(super) path: Path,
    pub(super) what: String,
    pub(super) near: Option<String>,
    pub(super) quote: Option<Quote>,
}

/// All that is wrong with a file, in its order. Prints a closing line; [`Problems::iter`] does without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: String,
    printed: Vec<Problem>,
    more: usize,
}

impl Problem {
    /// Line and column, both from 1.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place.map(|YamlPosition { line, column }| (line, column))
    }
}

impl Problems {
    /// More than these are counted, not printed.
    pub(super) const PRINTED: usize = 100;

    pub(super) fn new(file: &str, mut problems: Vec<Problem>) -> Self {
        let more = problems.len().saturating_sub(Self::PRINTED);
        problems.truncate(Self::PRINTED);
        Self { file: file.to_owned(), printed: problems, more }
    }

    /// Each problem, up to the first hundred.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.printed.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.printed.len() + self.more
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(YamlPosition { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_root() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.what)?;
        let quote = self.quote.as_ref().filter(|_| !f.alternate());
        if let (Some(quote), Some(place)) = (quote, self.place) {
            let number = place.line.to_string();
            write!(f, "\n  {number} | {}", quote.line)?;
            write!(f, "\n  {:width$} | {:caret$}^", "", "", width = number.len(), caret = quote.caret)?;
        }
        match (&self.near, quote) {
            (Some(near), Some(_)) => write!(f, " did you mean {near:?}?"),
            (Some(near), None) => write!(f, "; did you mean {near:?}?"),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.printed {
            writeln!(f, "{problem}")?;
        }
        if self.more > 0 {
            writeln!(f, "… and {} more", self.more)?;
        }
        let count = self.count();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {noun} in {}; nothing was started", self.file)
    }
}

impl std::error::Error for Problems {}
