//! Collects what is wrong while a configuration is checked, and remembers where each value was written.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{
    parse::Scalars,
    path::Path,
    problem::{Problem, Problems},
    quote::Visible,
    tree::YamlPosition,
};

/// Problems are placed and quoted only once all are known: whether a value may be shown is found out on the way.
#[derive(Default)]
pub(super) struct Report {
    findings: Vec<ReportedFault>,
    /// Paths that were complained of: what follows from a complaint is no second one.
    blamed: HashSet<Path>,
    origins: HashMap<Path, YamlOrigin>,
    /// Values that a variable stood in.
    variable: HashSet<Path>,
    /// Where the key of a value stands.
    keys: HashMap<Path, YamlPosition>,
    open: Vec<Range<usize>>,
}

struct ReportedFault {
    place: YamlPosition,
    path: Path,
    what: String,
    near: Option<String>,
}

/// Where a value stands, and what it looks like there.
pub(super) struct YamlOrigin {
    pub(super) place: YamlPosition,
    /// A scalar that is no secret, before its variables were replaced.
    pub(super) written: Option<String>,
}

impl Report {
    /// A problem with the value at `path`, unless it or what holds it has one already.
    pub(super) fn problem(&mut self, path: &Path, what: impl Into<String>) {
        self.problem_near(path, what, None);
    }

    /// The same, with the word that was probably meant.
    pub(super) fn problem_near(&mut self, path: &Path, what: impl Into<String>, near: Option<&str>) {
        if !self.is_blamed(path) {
            self.at(self.place(path), path, what, near);
            self.blamed.insert(path.clone());
        }
    }

    /// The same with the key of that value.
    pub(super) fn problem_with_key(&mut self, path: &Path, what: impl Into<String>) {
        if !self.is_blamed(path) {
            let place = self.keys.get(path).copied().unwrap_or_else(|| self.place(path));
            self.at(place, path, what, None);
            self.blamed.insert(path.clone());
        }
    }

    /// A problem at a place of its own, such as a key's. It does not keep others at its path away.
    pub(super) fn at(&mut self, place: YamlPosition, path: &Path, what: impl Into<String>, near: Option<&str>) {
        let near = near.map(str::to_owned);
        self.findings.push(ReportedFault { place, path: path.clone(), what: what.into(), near });
    }

    /// Keeps later problems at this path away.
    pub(super) fn blame(&mut self, path: Path) {
        self.blamed.insert(path);
    }

    /// Whether the value at `path`, or what holds it, has a problem.
    pub(super) fn is_blamed(&self, path: &Path) -> bool {
        let mut path = Some(path.clone());
        while let Some(at) = path {
            if self.blamed.contains(&at) {
                return true;
            }
            path = at.parent();
        }
        false
    }

    pub(super) fn found(&mut self, path: &Path, origin: YamlOrigin) {
        self.origins.insert(path.clone(), origin);
    }

    pub(super) fn found_variable(&mut self, path: &Path) {
        self.variable.insert(path.clone());
    }

    /// Whether a variable stood in the value.
    pub(super) fn has_variable(&self, path: &Path) -> bool {
        self.variable.contains(path)
    }

    pub(super) fn found_key(&mut self, path: &Path, place: YamlPosition) {
        self.keys.insert(path.clone(), place);
    }

    /// These bytes of the file may be shown.
    pub(super) fn show(&mut self, bytes: Range<usize>) {
        self.open.push(bytes);
    }

    /// Whether the file has a value at this path, valid or not.
    pub(super) fn is_written(&self, path: &Path) -> bool {
        self.origins.contains_key(path)
    }

    /// The value as it is written, in quotes; what was brought in by a variable is not shown.
    pub(super) fn written(&self, path: &Path) -> String {
        let written = self.origins.get(path).and_then(|origin| origin.written.as_deref());
        written.map_or_else(|| "the value".to_owned(), shown)
    }

    /// Whether the file has this text there, so that a problem may be told in its words.
    pub(super) fn is_literal(&self, path: &Path, text: &str) -> bool {
        let written = self.origins.get(path).and_then(|origin| origin.written.as_deref());
        written == Some(text)
    }

    /// Where the value stands, or else what would hold it.
    fn place(&self, path: &Path) -> YamlPosition {
        let mut path = Some(path.clone());
        while let Some(at) = path {
            if let Some(origin) = self.origins.get(&at) {
                return origin.place;
            }
            path = at.parent();
        }
        YamlPosition { line: 1, column: 1 }
    }

    /// All problems in the file's order; `None` where there is none.
    pub(super) fn finish(mut self, file: &str, text: &str, scalars: &Scalars) -> Option<Problems> {
        if self.findings.is_empty() {
            return None;
        }
        self.findings.sort_by_key(|finding| finding.place);
        let visible = Visible { text, scalars, open: &self.open };
        let placed = |(index, finding): (usize, ReportedFault)| Problem {
            file: file.to_owned(),
            place: Some(finding.place),
            path: finding.path,
            what: finding.what,
            near: finding.near,
            quote: if index < Problems::PRINTED { visible.quote(finding.place) } else { None },
        };
        Some(Problems::new(file, self.findings.into_iter().enumerate().map(placed).collect()))
    }
}

/// A text in quotes, cut where it is long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}
