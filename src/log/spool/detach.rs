//! `onFull: detach`: who gives up what when the spool needs room.
//!
//! Nothing is given up while more than a segment's room is left, unless a record had to be refused. Then those that hold
//! the oldest segment are asked for it, and for the ones behind it, as long as
//!
//! - each of them holds more of the spool than they may (`after`), and
//! - no other forwarder holds the segment, which would make giving it up useless.
//!
//! Where a forwarder stands is what it last made durable, which may be a second old. So who is asked reports first, and is
//! asked again or not: one that keeps up loses nothing. Whole segments that are sealed are given up; that they are released
//! is what makes the room. Where this asks for nothing,
//! the source waits, as with `onFull: block`.

use std::collections::BTreeSet;

use super::Spool;
use crate::log::position::SegmentId;

/// A segment that is not released: its bytes, and who is not past them.
#[derive(Debug)]
struct HeldSegment {
    segment: SegmentId,
    bytes: u64,
    by: BTreeSet<String>,
}

impl Spool {
    /// Asks forwarders to give up what they hold above `after` bytes, where the spool needs room; else takes back what
    /// was asked and is not done. `refused`: there was no room for a record.
    pub fn ask_for_room(&self, after: u64, refused: bool) {
        let (board, nobody) = (&self.log.release_gate, BTreeSet::new());
        let needs_room = refused || self.used() + self.limits.segment > self.limits.total;
        let held = if needs_room { self.held() } else { Vec::new() };
        let is_new = match to_give_up(&held, after) {
            Some(last) => board.ask(&last.by, last.segment),
            None => board.ask(&nobody, SegmentId(0)),
        };
        if is_new {
            // Wakes the forwarders.
            self.publish.send_modify(|_| {});
        }
    }

    /// The forwarders that hold the oldest segment that is held, in words.
    pub fn held_by(&self) -> String {
        let by = self.held().into_iter().map(|held| held.by).find(|by| !by.is_empty()).unwrap_or_default();
        let names: Vec<String> = by.into_iter().collect();
        match names.as_slice() {
            [] => "a forwarder".to_owned(),
            [only] => format!("forwarder {only}"),
            names => format!("forwarders {}", names.join(", ")),
        }
    }

    /// The last one may be the one that is appended to, and is not given up.
    fn held(&self) -> Vec<HeldSegment> {
        let held = self.segments.iter().map(|(id, kept)| {
            let bytes = kept.segment.size();
            HeldSegment {
                segment: *id,
                bytes,
                by: self.log.release_gate.holders(*id, kept.segment.start.offset, bytes),
            }
        });
        held.collect()
    }
}

/// The last segment to be given up, with those who hold the first one.
fn to_give_up(held: &[HeldSegment], after: u64) -> Option<HeldSegment> {
    let first = held.iter().position(|held| !held.by.is_empty())?;
    let (held, by) = (&held[first..], &held[first].by);
    let (_newest, older) = held.split_last()?;
    let holds_too_much = |from: usize| {
        let bytes = |forwarder: &String| {
            held[from..].iter().filter(|held| held.by.contains(forwarder)).map(|held| held.bytes).sum::<u64>()
        };
        by.iter().all(|forwarder| bytes(forwarder) > after)
    };
    let count =
        older.iter().enumerate().take_while(|(at, held)| held.by.is_subset(by) && holds_too_much(*at)).count();
    let last = count.checked_sub(1)?;
    Some(HeldSegment { segment: held[last].segment, bytes: held[last].bytes, by: by.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments 1, 2, … of ten bytes, each with those who hold it.
    fn asked(held: &[&str], after: u64) -> Option<(u64, String)> {
        let held: Vec<HeldSegment> = held
            .iter()
            .zip(1..)
            .map(|(by, id)| HeldSegment {
                segment: SegmentId(id),
                bytes: 10,
                by: by.chars().map(String::from).collect(),
            })
            .collect();
        to_give_up(&held, after).map(|last| (last.segment.0, last.by.into_iter().collect()))
    }

    fn a(segment: u64) -> Option<(u64, String)> {
        Some((segment, "a".to_owned()))
    }

    #[test]
    fn who_holds_the_oldest_gives_up_whole_segments_until_no_more_than_the_limit_is_left() {
        let held = ["a", "a", "a", "a", "a"];
        assert_eq!(asked(&held, 50), None, "no more than the limit");
        assert_eq!(asked(&held, 49), a(1));
        assert_eq!(asked(&held, 40), a(1));
        assert_eq!(asked(&held, 39), a(2));
        assert_eq!(asked(&held, 20), a(3));
        assert_eq!(asked(&held, 0), a(4), "the newest may be appended to still");
        assert_eq!(asked(&["a"], 0), None);
        assert_eq!(asked(&["", ""], 0), None);
        assert_eq!(asked(&[], 0), None);
    }

    #[test]
    fn nobody_else_loses_anything_and_nothing_is_given_up_that_another_needs() {
        assert_eq!(asked(&["a", "a", "ab", "ab", "ab"], 5), a(2), "the third is b's too");
        assert_eq!(asked(&["a", "a", "", "a", "b"], 5), a(4), "what nobody holds is no end");
        assert_eq!(asked(&["", "a", "a", "a"], 25), a(2));
    }

    #[test]
    fn those_who_stand_alike_give_up_together_or_not_at_all() {
        let both = |segment| Some((segment, "ab".to_owned()));
        assert_eq!(asked(&["ab", "ab", "ab", "ab"], 25), both(2));
        assert_eq!(asked(&["ab", "ab", "ab"], 30), None);
        // b holds the first one and little else: with it held, nothing would be won.
        assert_eq!(asked(&["ab", "a", "a", "a"], 10), None);
    }
}
