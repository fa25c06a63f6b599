//! The places in a record that a schema asks for, compiled once into a tree of names.
//!
//! A place is a JSON pointer (RFC 6901) through objects: `/type`, `/actor/id`. Nodes are numbered so that a node
//! stands before all below it and these without a gap: forgetting what was found under a repeated name is then
//! clearing one run of slots.

/// The number of a node of [`PointerSet`]; 0 is the document.
pub type NodeId = usize;

/// A compiled set of places.
#[derive(Debug, Default)]
pub struct PointerSet {
    nodes: Vec<PointerNode>,
    /// For each pointer, in the order given, its node.
    pointers: Vec<NodeId>,
}

#[derive(Debug, Default)]
struct PointerNode {
    parent: NodeId,
    /// One past the last node below this one.
    end: NodeId,
    /// Sorted by the length of their names.
    children: Vec<(Box<[u8]>, NodeId)>,
    /// For a length of a name, where such children begin; one entry more than the greatest length needs.
    by_length: Vec<usize>,
}

impl PointerSet {
    /// Compiles JSON pointers. One given twice is found twice, at its own index each.
    pub fn new(pointers: &[&str]) -> PointerSet {
        let names: Vec<Vec<String>> = pointers.iter().map(|pointer| split(pointer)).collect();
        let mut paths = PointerSet { nodes: Vec::new(), pointers: vec![0; pointers.len()] };
        let all: Vec<usize> = (0..pointers.len()).collect();
        paths.grow(0, 0, &names, &all);
        paths
    }

    /// Adds the node that the pointers `these` share down to `depth`, and all below it.
    fn grow(&mut self, parent: NodeId, depth: usize, names: &[Vec<String>], these: &[usize]) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(PointerNode { parent, ..PointerNode::default() });
        let mut children: Vec<(&str, Vec<usize>)> = Vec::new();
        for &pointer in these {
            match names[pointer].get(depth) {
                None => self.pointers[pointer] = id,
                Some(name) => match children.iter_mut().find(|(known, _)| known == name) {
                    Some((_, below)) => below.push(pointer),
                    None => children.push((name, vec![pointer])),
                },
            }
        }
        children.sort_by_key(|(name, _)| name.len());
        let longest = children.last().map_or(0, |(name, _)| name.len());
        let by_length = (0..=longest + 1).map(|length| children.partition_point(|(name, _)| name.len() < length));
        self.nodes[id].by_length = by_length.collect();
        for (name, below) in children {
            let child = self.grow(id, depth + 1, names, &below);
            self.nodes[id].children.push((name.as_bytes().into(), child));
        }
        self.nodes[id].end = self.nodes.len();
        id
    }

    /// The node of the pointer with this index.
    pub fn node(&self, pointer: usize) -> NodeId {
        self.pointers[pointer]
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    #[inline]
    pub(super) fn child(&self, of: NodeId, name: &[u8]) -> Option<NodeId> {
        let node = &self.nodes[of];
        let (&start, &end) = (node.by_length.get(name.len())?, node.by_length.get(name.len() + 1)?);
        // Names of one length mostly differ in their first byte, which spares a call.
        let same = |known: &[u8]| known.first() == name.first() && known == name;
        node.children[start..end].iter().find(|(known, _)| same(known)).map(|&(_, child)| child)
    }

    pub(super) fn parent(&self, of: NodeId) -> NodeId {
        self.nodes[of].parent
    }

    /// The node and all below it.
    pub(super) fn with_below(&self, node: NodeId) -> std::ops::Range<NodeId> {
        node..self.nodes[node].end
    }
}

fn split(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_the_node_of_their_pointer_and_others_nowhere() {
        let paths = PointerSet::new(&["/actor/id", "/type", "/actor", "/a~1b~0c", "/time", ""]);
        let actor = paths.child(0, b"actor").expect("known");
        assert_eq!(actor, paths.node(2));
        assert_eq!(paths.child(actor, b"id"), Some(paths.node(0)));
        assert_eq!(paths.child(0, b"type"), Some(paths.node(1)));
        assert_eq!(paths.child(0, b"time"), Some(paths.node(4)));
        assert_eq!(paths.child(0, b"a/b~c"), Some(paths.node(3)));
        assert_eq!(paths.node(5), 0);
        for name in ["", "typ", "typf", "types", "id", "actors", "a-name-longer-than-all-of-the-others"] {
            assert_eq!(paths.child(0, name.as_bytes()), None, "{name}");
        }
        assert_eq!(paths.with_below(actor).collect::<Vec<_>>(), [actor, paths.node(0)]);
        assert_eq!(paths.parent(paths.node(0)), actor);
    }
}
