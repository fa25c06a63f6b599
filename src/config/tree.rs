//! A YAML file as a tree of nodes that know where they stand.
//!
//! It says what is written and takes nothing silently: anchors, aliases, tags and keys that are no text are kept as
//! [`Flaw`]s of their node, and repeated keys stay repeated.

use std::ops::Range;

/// Line and column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct YamlPosition {
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Debug)]
pub(super) struct YamlNode {
    pub(super) place: YamlPosition,
    pub(super) kind: NodeKind,
    pub(super) flaws: Vec<(YamlPosition, Flaw)>,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    Scalar(Scalar),
    Sequence(Vec<YamlNode>),
    Mapping(Vec<MappingEntry>),
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
pub(super) struct MappingEntry {
    pub(super) key: MappingKey,
    pub(super) value: YamlNode,
}

#[derive(Debug)]
pub(super) struct MappingKey {
    pub(super) place: YamlPosition,
    pub(super) text: String,
    pub(super) plain: bool,
    pub(super) span: Range<usize>,
}

impl YamlNode {
    /// Whether nothing is written: an empty value, `~` or `null`.
    pub(super) fn is_nothing(&self) -> bool {
        match &self.kind {
            NodeKind::Scalar(scalar) => {
                scalar.plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match &self.kind {
            NodeKind::Sequence(items) => items.is_empty(),
            NodeKind::Mapping(entries) => entries.is_empty(),
            NodeKind::Scalar(_) | NodeKind::Alias => true,
        }
    }

    /// The node that was added last to a collection.
    pub(super) fn last(&mut self) -> Option<&mut YamlNode> {
        match &mut self.kind {
            NodeKind::Sequence(items) => items.last_mut(),
            NodeKind::Mapping(entries) => entries.last_mut().map(|entry| &mut entry.value),
            NodeKind::Scalar(_) | NodeKind::Alias => None,
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
