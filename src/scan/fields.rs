//! What the pass over a line found: the values at a schema's places and, on request, the outermost members.
//!
//! Places are kept as offsets in buffers that are used again for every line. Where a name is repeated in an
//! object the last one counts, as in serde_json, and the repetition is counted: two readers could otherwise
//! take one record for two different ones.

use super::{
    cef::unescape_cef,
    json::{JsonKind, Sink},
    paths::{NodeId, PointerSet},
    text::unescape,
};

/// An object with more members than this is not listed member by member. It bounds the comparing of names.
pub const MAX_MEMBERS: usize = 256;

#[derive(Debug)]
pub struct Fields {
    paths: PointerSet,
    /// One for each node of the paths.
    slots: Vec<Option<ValueRange>>,
    members: MemberList,
    repeated: u32,
    /// The container that `node` stands for is the one at this depth (that of its members).
    depth: usize,
    node: NodeId,
    /// The node of the value that comes next.
    next: Option<NodeId>,
    scratch: String,
}

#[derive(Clone, Copy, Debug)]
struct ValueRange {
    start: usize,
    end: usize,
    kind: JsonKind,
}

/// One member of the outermost object, as it stands in the line.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    name: (usize, usize),
    name_escaped: bool,
    place: ValueRange,
    /// The node of the paths that the name is, where it is one.
    pub node: Option<NodeId>,
    /// False where a later member has the same name.
    pub counts: bool,
}

#[derive(Debug, Default)]
struct MemberList {
    wanted: bool,
    list: Vec<Member>,
    overflow: bool,
    /// One bit for each of 64 sorts of name that were met, so that most names are compared with no other.
    met: u64,
    scratch: String,
}

/// A value of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// As it stands in the line; of a string what is between the quotes, still escaped.
    pub raw: &'a str,
    pub kind: JsonKind,
}

impl<'a> Value<'a> {
    /// The text of a string, unescaped (into `scratch` only where it must be), or the JSON of any other value.
    pub fn text<'s>(&self, scratch: &'s mut String) -> &'s str
    where
        'a: 's,
    {
        match self.kind {
            JsonKind::String { escaped: true } => {
                scratch.clear();
                unescape(self.raw, scratch);
                scratch
            }
            JsonKind::CefString => {
                scratch.clear();
                unescape_cef(self.raw, scratch);
                scratch
            }
            _ => self.raw,
        }
    }

    pub fn is_string(&self) -> bool {
        matches!(self.kind, JsonKind::String { .. } | JsonKind::CefString)
    }
}

impl Member {
    pub fn name<'s>(&self, text: &'s str, scratch: &'s mut String) -> &'s str {
        let raw = &text[self.name.0..self.name.1];
        if !self.name_escaped {
            return raw;
        }
        scratch.clear();
        unescape(raw, scratch);
        scratch
    }

    pub fn value<'a>(&self, text: &'a str) -> Value<'a> {
        self.place.value(text)
    }
}

impl ValueRange {
    fn value<'a>(&self, text: &'a str) -> Value<'a> {
        let quote = usize::from(matches!(self.kind, JsonKind::String { .. }));
        Value { raw: &text[self.start + quote..self.end - quote], kind: self.kind }
    }
}

impl Fields {
    /// Finds the values at `paths`; with `members` also lists the members of the outermost object.
    pub fn new(paths: PointerSet, members: bool) -> Fields {
        Fields {
            slots: vec![None; paths.len()],
            paths,
            members: MemberList { wanted: members, ..MemberList::default() },
            repeated: 0,
            depth: 0,
            node: 0,
            next: Some(0),
            scratch: String::new(),
        }
    }

    /// Forgets the last line. To be called before each scan.
    pub fn clear(&mut self) {
        self.slots.fill(None);
        self.members.list.clear();
        self.members.overflow = false;
        self.members.met = 0;
        self.repeated = 0;
        self.depth = 0;
        self.node = 0;
        self.next = Some(0);
    }

    /// The value at the pointer with this index; `text` is the line that was scanned.
    pub fn get<'a>(&self, pointer: usize, text: &'a str) -> Option<Value<'a>> {
        self.slots[self.paths.node(pointer)].map(|place| place.value(text))
    }

    /// The node of the pointer with this index, as [`Member::node`] has it.
    pub fn node(&self, pointer: usize) -> NodeId {
        self.paths.node(pointer)
    }

    /// The outermost object's members in the order of the line. None where they were not asked for or are more
    /// than [`MAX_MEMBERS`]; none at all where the line is no object.
    pub fn members(&self) -> Option<&[Member]> {
        (self.members.wanted && !self.members.overflow).then_some(&self.members.list)
    }

    /// How often a name that was looked for (or, with members, any of the outermost) came again in its object.
    pub fn repeated(&self) -> u32 {
        self.repeated
    }
}

impl Sink for Fields {
    #[inline]
    fn key(&mut self, line: &[u8], depth: usize, start: usize, end: usize, escaped: bool) {
        if depth != self.depth {
            return;
        }
        let raw = &line[start..end];
        self.next = if escaped {
            self.scratch.clear();
            unescape(std::str::from_utf8(raw).unwrap_or_default(), &mut self.scratch);
            self.paths.child(self.node, self.scratch.as_bytes())
        } else {
            self.paths.child(self.node, raw)
        };
        let mut again = false;
        if let Some(node) = self.next
            && self.slots[node].is_some()
        {
            again = true;
            self.slots[self.paths.with_below(node)].fill(None);
        }
        if depth == 1 && self.members.wanted {
            again |= self.members.name(line, start, end, escaped, self.next);
        }
        self.repeated += u32::from(again);
    }

    #[inline]
    fn scalar(&mut self, depth: usize, start: usize, end: usize, kind: JsonKind) {
        if depth == self.depth {
            let place = ValueRange { start, end, kind };
            if let Some(node) = self.next.take() {
                self.slots[node] = Some(place);
            }
            if depth == 1 {
                self.members.value(place);
            }
        }
    }

    #[inline]
    fn open(&mut self, depth: usize, start: usize, kind: JsonKind) {
        let place = ValueRange { start, end: start, kind };
        if depth == 1 {
            self.members.value(place);
        }
        if depth == self.depth
            && let Some(node) = self.next.take()
        {
            self.slots[node] = Some(place);
            self.node = node;
            self.depth += 1;
        }
    }

    #[inline]
    fn close(&mut self, depth: usize, end: usize) {
        if depth == 1 {
            self.members.end(end);
        }
        if depth + 1 == self.depth {
            if let Some(place) = &mut self.slots[self.node] {
                place.end = end;
            }
            self.node = self.paths.parent(self.node);
            self.depth = depth;
        }
    }
}

impl MemberList {
    /// Begins a member; true where one of this name was there before.
    fn name(&mut self, line: &[u8], start: usize, end: usize, escaped: bool, node: Option<NodeId>) -> bool {
        if self.overflow || self.list.len() == MAX_MEMBERS {
            self.overflow = true;
            return false;
        }
        let raw = &line[start..end];
        let sort = 1 << (raw.first().map_or(0, |&first| usize::from(first) + 7 * raw.len()) % 64);
        // An escaped name may be any other in disguise, so it and all after it are compared.
        let again = (self.met & sort != 0 || escaped) && self.supersede(line, raw, escaped);
        self.met |= if escaped { u64::MAX } else { sort };
        let place = ValueRange { start: end, end, kind: JsonKind::Null };
        self.list.push(Member { name: (start, end), name_escaped: escaped, place, node, counts: true });
        again
    }

    /// Strikes out the earlier member of this name.
    fn supersede(&mut self, line: &[u8], raw: &[u8], escaped: bool) -> bool {
        self.scratch.clear();
        unescape(std::str::from_utf8(raw).unwrap_or_default(), &mut self.scratch);
        let mut other = String::new();
        let text = |member: &Member| &line[member.name.0..member.name.1];
        let same = self.list.iter_mut().find(|member| {
            member.counts
                && if escaped || member.name_escaped {
                    other.clear();
                    unescape(std::str::from_utf8(text(member)).unwrap_or_default(), &mut other);
                    other == self.scratch
                } else {
                    text(member) == raw
                }
        });
        same.map(|member| member.counts = false).is_some()
    }

    #[inline]
    fn value(&mut self, place: ValueRange) {
        if !self.overflow
            && let Some(member) = self.list.last_mut()
        {
            member.place = place;
        }
    }

    #[inline]
    fn end(&mut self, end: usize) {
        if !self.overflow
            && let Some(member) = self.list.last_mut()
        {
            member.place.end = end;
        }
    }
}
