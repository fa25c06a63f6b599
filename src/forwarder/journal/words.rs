//! How the values of a journal are written: times as people read them, positions with the names of their members.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Milliseconds since 1970-01-01 UTC. Displayed and written as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    pub fn now() -> Self {
        jiff::Timestamp::now().into()
    }
}

impl From<jiff::Timestamp> for UnixMillis {
    fn from(time: jiff::Timestamp) -> Self {
        Self(time.as_millisecond())
    }
}

/// What follows the number of a time that is out of the calendar's range.
const OUT_OF_RANGE: &str = " ms";

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}{OUT_OF_RANGE}", self.0),
        }
    }
}

impl Serialize for UnixMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixMillis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_suffix(OUT_OF_RANGE) {
            Some(number) => number.parse().map(Self).map_err(D::Error::custom),
            None => text.parse::<jiff::Timestamp>().map(Self::from).map_err(D::Error::custom),
        }
    }
}

pub(super) fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(super) fn is_yes(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(super) fn is_no(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(super) fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// `[{"segment": 1, "start": 0, "end": 9, "anchor": "9:…"}, …]`
pub(super) mod span {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::log::{Anchor, AnchoredRange, SegmentId, SegmentRange};

    #[derive(Serialize, Deserialize)]
    struct WordedRange {
        segment: SegmentId,
        start: u64,
        end: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor: Option<Anchor>,
    }

    pub(in crate::forwarder::journal) fn serialize<S: Serializer>(
        span: &[AnchoredRange],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(span.iter().map(
            |&AnchoredRange { range: SegmentRange { segment, start, end }, anchor }| WordedRange {
                segment,
                start,
                end,
                anchor,
            },
        ))
    }

    pub(in crate::forwarder::journal) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<AnchoredRange>, D::Error> {
        let ranges = Vec::<WordedRange>::deserialize(deserializer)?.into_iter();
        let checked = ranges.map(|WordedRange { segment, start, end, anchor }| match start <= end {
            true => Ok(AnchoredRange { range: SegmentRange { segment, start, end }, anchor }),
            false => Err(D::Error::custom("a range ends before it starts")),
        });
        checked.collect()
    }
}

/// `[{"segment": 1, "offset": 9, "anchor": "9:…"}, …]`
pub(super) mod cursors {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::log::{Cursor, SegmentId};

    #[derive(Serialize, Deserialize)]
    struct WordedCursor {
        segment: SegmentId,
        #[serde(flatten)]
        cursor: Cursor,
    }

    pub(in crate::forwarder::journal) fn serialize<S: Serializer>(
        cursors: &[(SegmentId, Cursor)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(cursors.iter().map(|&(segment, cursor)| WordedCursor { segment, cursor }))
    }

    pub(in crate::forwarder::journal) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(SegmentId, Cursor)>, D::Error> {
        let cursors = Vec::<WordedCursor>::deserialize(deserializer)?.into_iter();
        Ok(cursors.map(|WordedCursor { segment, cursor }| (segment, cursor)).collect())
    }
}
