//! Arithmetic of spans: what remains when a part is cut out.

use crate::log::{AnchoredRange, Cursor, SegmentRange};

/// A span with a part cut out of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// What lies before the part's first byte.
    pub(super) before: Vec<AnchoredRange>,
    /// Everything else that remains.
    pub(super) after: Vec<AnchoredRange>,
    /// Nothing between the part's first and last byte remains.
    in_one_piece: bool,
}

impl Cut {
    pub(super) fn is_prefix(&self) -> bool {
        self.before.is_empty() && self.in_one_piece
    }
}

/// Cuts `part` out of `span`, or `None` where `part` is not in it, in the same order.
pub(super) fn cut(span: &[AnchoredRange], part: &[AnchoredRange]) -> Option<Cut> {
    let mut wanted = part.iter().map(|p| p.range).peekable();
    let mut cut = Cut { before: Vec::new(), after: Vec::new(), in_one_piece: true };
    let mut begun = false;
    for piece in span {
        let mut left = *piece;
        while let Some(p) = wanted.next_if(|p| within(*p, left.range)) {
            if p.start > left.range.start {
                cut.in_one_piece &= !begun;
                let piece = SegmentRange { end: p.start, ..left.range }.into();
                if begun { cut.after.push(piece) } else { cut.before.push(piece) }
            }
            begun = true;
            left.range.start = p.end;
        }
        if !left.range.is_empty() {
            cut.in_one_piece &= !begun || wanted.peek().is_none();
            if begun { cut.after.push(left) } else { cut.before.push(left) }
        }
    }
    wanted.peek().is_none().then_some(cut)
}

/// The span without the bytes of `gone`. A range that loses its end loses its anchor.
pub(super) fn without(span: &[AnchoredRange], gone: SegmentRange) -> Vec<AnchoredRange> {
    let mut left = Vec::with_capacity(span.len());
    for piece in span {
        if overlap(piece.range, gone) == 0 {
            left.push(*piece);
            continue;
        }
        if piece.range.start < gone.start {
            left.push(SegmentRange { end: gone.start, ..piece.range }.into());
        }
        if piece.range.end > gone.end {
            left.push(AnchoredRange { range: SegmentRange { start: gone.end, ..piece.range }, anchor: piece.anchor });
        }
    }
    left
}

/// How many bytes two ranges share.
pub(super) fn overlap(a: SegmentRange, b: SegmentRange) -> u64 {
    if a.segment != b.segment {
        return 0;
    }
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}

/// What was read up to `cursor` from `start` on.
pub(super) fn up_to(segment: crate::log::SegmentId, start: u64, cursor: Cursor) -> AnchoredRange {
    AnchoredRange { range: SegmentRange { segment, start, end: cursor.offset }, anchor: cursor.anchor }
}

fn within(inner: SegmentRange, outer: SegmentRange) -> bool {
    inner.segment == outer.segment && inner.start >= outer.start && inner.end <= outer.end
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::log::SegmentId;

    fn span(ranges: &[(u64, u64, u64)]) -> Vec<AnchoredRange> {
        let range = |&(segment, start, end)| SegmentRange { segment: SegmentId(segment), start, end }.into();
        ranges.iter().map(range).collect()
    }

    #[test]
    fn a_first_part_leaves_the_rest_in_order() {
        let whole = span(&[(1, 0, 50), (2, 0, 10), (1, 50, 100)]);
        for (part, after) in [
            (vec![(1, 0, 20)], vec![(1, 20, 50), (2, 0, 10), (1, 50, 100)]),
            (vec![(1, 0, 50), (2, 0, 10), (1, 50, 60)], vec![(1, 60, 100)]),
            (vec![(1, 0, 50), (2, 0, 10), (1, 50, 100)], vec![]),
        ] {
            let cut = cut(&whole, &span(&part)).unwrap();
            assert!(cut.is_prefix(), "{part:?}");
            assert_eq!(cut.after, span(&after));
        }
    }

    #[test]
    fn a_part_from_the_middle_is_no_prefix_and_loses_nothing() {
        let whole = span(&[(1, 0, 50), (2, 0, 10)]);
        let middle = cut(&whole, &span(&[(1, 20, 30)])).unwrap();
        assert!(!middle.is_prefix());
        assert_eq!((middle.before, middle.after), (span(&[(1, 0, 20)]), span(&[(1, 30, 50), (2, 0, 10)])));
        // Begins at the beginning, but leaves bytes out on the way.
        assert!(!cut(&whole, &span(&[(1, 0, 20), (2, 0, 5)])).unwrap().is_prefix());
        assert!(!cut(&whole, &span(&[(1, 0, 20), (1, 30, 50)])).unwrap().is_prefix());
        for foreign in [span(&[(1, 40, 60)]), span(&[(3, 0, 1)]), span(&[(2, 0, 10), (1, 0, 50)])] {
            assert_eq!(cut(&whole, &foreign), None);
        }
    }

    #[test]
    fn what_is_gone_splits_a_range_and_only_an_untouched_end_keeps_its_anchor() {
        let anchor = Some(crate::log::Anchor { len: 256, hash: 7 });
        let whole = [AnchoredRange { range: SegmentRange { segment: SegmentId(1), start: 10, end: 50 }, anchor }];
        let left = without(&whole, SegmentRange { segment: SegmentId(1), start: 20, end: 30 });
        assert_eq!(left[0], SegmentRange { segment: SegmentId(1), start: 10, end: 20 }.into());
        assert_eq!(
            left[1],
            AnchoredRange { range: SegmentRange { segment: SegmentId(1), start: 30, end: 50 }, anchor }
        );
        assert_eq!(without(&whole, SegmentRange { segment: SegmentId(2), start: 0, end: 90 }), whole);
    }
}
