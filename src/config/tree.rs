//! A YAML file as a tree of nodes that know where they stand.
//!
//! It says what is written and takes nothing silently: anchors, aliases, tags and keys that are no text are kept as
//! [`Flaw`]s of their node, and repeated keys stay repeated.

use std::ops::Range;

/// Line and column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) flaws: Vec<(Place, Flaw)>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
    /// An alias: its flaw says so.
    Alias,
}

#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Written without quotes, so that it may be a number, a boolean or nothing.
    pub(super) plain: bool,
    /// Its bytes in the file, quotes included.
    pub(super) span: Range<usize>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) value: Node,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
    pub(super) plain: bool,
    pub(super) span: Range<usize>,
}

impl Node {
    /// Whether nothing is written: an empty value, `~` or `null`.
    pub(super) fn is_nothing(&self) -> bool {
        match &self.kind {
            Kind::Scalar(scalar) => {
                scalar.plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Sequence(items) => items.is_empty(),
            Kind::Mapping(entries) => entries.is_empty(),
            Kind::Scalar(_) | Kind::Alias => true,
        }
    }

    /// The node that was added last to a collection.
    pub(super) fn last(&mut self) -> Option<&mut Node> {
        match &mut self.kind {
            Kind::Sequence(items) => items.last_mut(),
            Kind::Mapping(entries) => entries.last_mut().map(|entry| &mut entry.value),
            Kind::Scalar(_) | Kind::Alias => None,
        }
    }
}

/// YAML that a configuration cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Anchor,
    Alias,
    Tag,
    ComplexKey,
}

impl Flaw {
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Anchor => "anchors are not taken here; put a text that begins with `&` in quotes",
            Self::Alias => {
                "aliases are not taken here: write the value out; put a text that begins with `*` in quotes"
            }
            Self::Tag => "tags are not taken here; put a text that begins with `!` in quotes",
            Self::ComplexKey => "a key must be a text; put a value that begins with `{` or `[` in quotes",
        }
    }
}
