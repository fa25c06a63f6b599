//! From a YAML text to its tree.
//!
//! Nothing is expanded, so the tree is never larger than the file, and its depth is bounded. There is one document,
//! or none.

use std::ops::Range;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, options};

use super::tree::{Flaw, MappingEntry, MappingKey, NodeKind, Scalar, YamlNode, YamlPosition};

/// Mappings and lists may be nested this deep.
const MAX_DEPTH: usize = 32;

/// Why there is no tree.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) place: YamlPosition,
    pub(super) what: String,
}

/// Every scalar's bytes, secret or not: what is quoted of a line must not show them unless it is known to be safe.
pub(super) type Scalars = Vec<Range<usize>>;

/// The tree of the file's one document; `None` where the file holds nothing but comments.
pub(super) fn parse(text: &str) -> Result<(Option<YamlNode>, Scalars), SyntaxError> {
    let options = options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let what = format!("this is no valid YAML: {}{}", error.info(), hint(text, error.marker()));
            SyntaxError { place: place(error.marker()), what }
        })?;
        builder.take(event, &span)?;
    }
    Ok((builder.root, builder.scalars))
}

/// In `{a: ${NAME}}` the inner braces are YAML's own; the parser's complaint does not say so.
fn hint(text: &str, marker: &Marker) -> &'static str {
    let before = marker.byte_offset().and_then(|offset| text.get(..offset)).unwrap_or_default();
    let after = &text[before.len()..];
    let in_reference = before.ends_with('$') && after.starts_with('{') || before.ends_with("${");
    if in_reference { "; inside { } and [ ] put ${NAME} in quotes: \"${NAME}\"" } else { "" }
}

fn place(marker: &Marker) -> YamlPosition {
    YamlPosition { line: marker.line().max(1), column: marker.col() + 1 }
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<YamlNode>,
    scalars: Scalars,
}

/// A mapping or list whose end has not been read.
struct Open {
    node: YamlNode,
    /// In a mapping: the key whose value comes next, or a flaw in its stead.
    key: Option<Result<MappingKey, YamlPosition>>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), SyntaxError> {
        let place = place(&span.start);
        let mut flaws = Vec::new();
        match &event {
            Event::Scalar(.., Some(tag))
            | Event::SequenceStart(.., Some(tag))
            | Event::MappingStart(.., Some(tag))
                if !(tag.is_yaml_core_schema_tag("str") && matches!(event, Event::Scalar(..))) =>
            {
                flaws.push((span.tag_start().map_or(place, |marker| self::place(&marker)), Flaw::Tag));
            }
            _ => {}
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                let bytes = span.byte_range().unwrap_or_default();
                self.scalars.push(bytes.clone());
                let empty = bytes.is_empty() && style == ScalarStyle::Plain;
                let text = if empty { String::new() } else { text.into_owned() };
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.close(YamlNode { place, kind: NodeKind::Scalar(Scalar { text, plain, span: bytes }), flaws });
            }
            Event::SequenceStart(..) => self.open(YamlNode { place, kind: NodeKind::Sequence(Vec::new()), flaws })?,
            Event::MappingStart(..) => self.open(YamlNode { place, kind: NodeKind::Mapping(Vec::new()), flaws })?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.close(open.node);
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.close(YamlNode { place, kind: NodeKind::Alias, flaws: vec![(place, Flaw::Alias)] });
            }
            Event::Anchor(..) => self.anchor(place),
            Event::DocumentStart(..) if self.root.is_some() => {
                let what = "a second document begins here; a configuration is one".to_owned();
                return Err(SyntaxError { place, what });
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, node: YamlNode) -> Result<(), SyntaxError> {
        if self.open.len() == MAX_DEPTH {
            let what = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(SyntaxError { place: node.place, what });
        }
        self.open.push(Open { node, key: None });
        Ok(())
    }

    /// Hands a finished node to what holds it: as an item, as a key or as that key's value.
    fn close(&mut self, node: YamlNode) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.node.kind {
            NodeKind::Sequence(items) => items.push(node),
            NodeKind::Mapping(entries) => match open.key.take() {
                None => open.key = Some(key(node)),
                Some(Ok(key)) => entries.push(MappingEntry { key, value: node }),
                Some(Err(place)) => open.node.flaws.push((place, Flaw::ComplexKey)),
            },
            NodeKind::Scalar(_) | NodeKind::Alias => {}
        }
    }

    /// An anchor follows the start of its node: the innermost collection if that has just begun, else the last node
    /// in it.
    fn anchor(&mut self, place: YamlPosition) {
        let node = match self.open.last_mut() {
            None => self.root.as_mut(),
            Some(Open { node, key: Some(_) }) => Some(node),
            Some(Open { node, key: None }) if node.is_empty() => Some(node),
            Some(Open { node, key: None }) => node.last(),
        };
        if let Some(node) = node {
            node.flaws.push((place, Flaw::Anchor));
        }
    }
}

fn key(node: YamlNode) -> Result<MappingKey, YamlPosition> {
    match node.kind {
        NodeKind::Scalar(scalar) if node.flaws.is_empty() => {
            Ok(MappingKey { place: node.place, text: scalar.text, plain: scalar.plain, span: scalar.span })
        }
        _ => Err(node.place),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn tree(text: &str) -> YamlNode {
        parse(text).unwrap().0.unwrap()
    }

    fn entries(node: &YamlNode) -> &[MappingEntry] {
        match &node.kind {
            NodeKind::Mapping(entries) => entries,
            other => panic!("no mapping: {other:?}"),
        }
    }

    #[test]
    fn nodes_know_their_place_and_style() {
        let root = tree("a: 1\nb:\n  - 'x y'\n  - é: z\n");
        let [a, b] = entries(&root) else { panic!("two keys") };
        assert_eq!(
            (a.key.place, a.value.place),
            (YamlPosition { line: 1, column: 1 }, YamlPosition { line: 1, column: 4 })
        );
        assert!(matches!(&a.value.kind, NodeKind::Scalar(s) if s.text == "1" && s.plain));
        let NodeKind::Sequence(items) = &b.value.kind else { panic!("a list") };
        assert!(matches!(&items[0].kind, NodeKind::Scalar(s) if s.text == "x y" && !s.plain));
        assert_eq!(entries(&items[1])[0].value.place, YamlPosition { line: 4, column: 8 });
    }

    #[test]
    fn repeated_keys_stay_repeated() {
        assert_eq!(entries(&tree("a: 1\na: 2\n")).len(), 2);
    }

    #[test]
    fn what_a_configuration_cannot_use_is_a_flaw_at_its_place() {
        let root = tree("a: &x 1\nb: *x\nc: !t 2\n? [d]\n: 3\ne: !!str 4\nf: *nowhere\n");
        let flaws: Vec<_> = root.flaws.iter().chain(entries(&root).iter().flat_map(|e| &e.value.flaws)).collect();
        let at = |line, column| YamlPosition { line, column };
        assert_eq!(
            flaws,
            [
                &(at(4, 3), Flaw::ComplexKey),
                &(at(1, 4), Flaw::Anchor),
                &(at(2, 4), Flaw::Alias),
                &(at(3, 4), Flaw::Tag),
                &(at(7, 4), Flaw::Alias),
            ]
        );
    }

    #[test]
    fn anchors_are_flaws_of_the_node_they_name() {
        let root = tree("a: &a {x: 1}\nb: [&b y]\n&c c: z\n");
        let [a, b, _] = entries(&root) else { panic!("three keys") };
        assert_eq!(a.value.flaws.len(), 1);
        let NodeKind::Sequence(items) = &b.value.kind else { panic!("a list") };
        assert_eq!((b.value.flaws.len(), items[0].flaws.len()), (0, 1));
        assert_eq!(root.flaws, [(YamlPosition { line: 3, column: 1 }, Flaw::Anchor)]);
    }

    #[test]
    fn nothing_is_a_tree_of_nothing() {
        for text in ["", "\n", "# only a comment\n"] {
            assert!(parse(text).unwrap().0.is_none(), "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded_in_either_style() {
        let flow = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        let block: String = (0..=MAX_DEPTH).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        let mixed = format!("{}[[[[[[{}", "- ".repeat(MAX_DEPTH - 3), "]]]]]]");
        for text in [flow, block, mixed] {
            assert!(parse(&text).is_err(), "{text}");
        }
        let fine = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(parse(&fine).is_ok());
    }
}
