//! The answer to a bulk request, item by item: what became of each event.
//!
//! ```text
//! {"took":7,"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"type":…,"reason":…}}}]}
//! ```
//!
//! Source: Elasticsearch's and OpenSearch's Bulk API: the items stand in the order of the actions, the status is 200
//! even where every item failed, and `409` for a `create` says that the document is there already. What always holds:
//! an event counts as delivered only where its own item, or `errors: false`, says so. Nothing is kept of an item but
//! its status and a short cause, so that an answer of a million items costs no more than its own bytes.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::config::AnswerVerdict;

/// The cause of a refused item is kept in so many characters.
const CAUSE: usize = 400;

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    /// It was not taken this time.
    Again,
    /// It will never be taken.
    Refused {
        status: u16,
        cause: String,
    },
}

/// One item, as it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkItem {
    pub status: u16,
    pub cause: String,
}

/// What the answer says of the whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bulk {
    AllDelivered,
    /// Of the first so many events, in their order: of all of them, unless the answer was cut off.
    Items(Vec<BulkItem>),
    /// It cannot be understood, for this reason.
    Unknown(String),
}

/// Reads the answer to a request of `events`. `body` may be cut off: what was read until then counts.
pub fn read(body: &[u8], events: usize) -> Bulk {
    let mut answer = Read::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let result = AnswerSeed(&mut answer).deserialize(&mut json).and_then(|()| json.end());
    let whole = match result {
        Ok(()) => true,
        Err(error) if error.is_eof() => false,
        Err(error) => return Bulk::Unknown(format!("it is no answer to a bulk request ({error})")),
    };
    let Read { errors, items } = answer;
    let count = items.as_ref().map_or(0, Vec::len);
    match (errors, items) {
        (_, Some(_)) if count > events || whole && count < events => {
            Bulk::Unknown(format!("it has {count} items for {events} events"))
        }
        (Some(false), Some(items)) if items.iter().all(|item| is_taken(item.status)) => Bulk::AllDelivered,
        (Some(false), None) => Bulk::AllDelivered,
        (_, Some(items)) if count > 0 => Bulk::Items(items),
        _ if whole => Bulk::Unknown("it has no errors: false and no items".to_owned()),
        _ => Bulk::Unknown("it broke off before its first item".to_owned()),
    }
}

impl BulkItem {
    /// What becomes of its event. `verdict` is what a response of this status would mean.
    pub fn fate(self, verdict: AnswerVerdict) -> Fate {
        match verdict {
            _ if is_taken(self.status) => Fate::Delivered,
            AnswerVerdict::Delivered => Fate::Delivered,
            AnswerVerdict::Narrow | AnswerVerdict::Halve => Fate::Refused { status: self.status, cause: self.cause },
            AnswerVerdict::Retry | AnswerVerdict::Unauthorized | AnswerVerdict::Hold => Fate::Again,
        }
    }
}

/// 409: a document of this id is there, so that this event was taken before.
fn is_taken(status: u16) -> bool {
    matches!(status, 200..=299 | 409)
}

#[derive(Default)]
struct Read {
    errors: Option<bool>,
    items: Option<Vec<BulkItem>>,
}

/// Fills what it is given as it reads, so that what stood before a cut is not lost.
struct AnswerSeed<'a>(&'a mut Read);

impl<'de> DeserializeSeed<'de> for AnswerSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AnswerSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with errors and items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "errors" => self.0.errors = Some(map.next_value()?),
                "items" => map.next_value_seed(ItemsSeed(self.0.items.insert(Vec::new())))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct ItemsSeed<'a>(&'a mut Vec<BulkItem>);

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(Action(item)) = seq.next_element()? {
            self.0.push(item);
        }
        Ok(())
    }
}

/// `{"create":{…}}`: the one action of an item, whatever it is.
struct Action(BulkItem);

#[derive(Deserialize)]
struct Done {
    status: u16,
    error: Option<Cause>,
}

/// An object with a type and a reason, or just a text, as very old versions have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cause {
    Object { r#type: Option<String>, reason: Option<String> },
    Text(String),
    Other(IgnoredAny),
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneAction;
        impl<'de> Visitor<'de> for OneAction {
            type Value = Action;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one action")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Action, A::Error> {
                let Some((_, done)) = map.next_entry::<IgnoredAny, Done>()? else {
                    return Err(serde::de::Error::custom("an item without an action"));
                };
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                let cause = done.error.map(Cause::text).unwrap_or_default();
                Ok(Action(BulkItem { status: done.status, cause }))
            }
        }
        deserializer.deserialize_map(OneAction)
    }
}

impl Cause {
    fn text(self) -> String {
        let mut text = match self {
            Self::Object { r#type, reason } => [r#type, reason].into_iter().flatten().collect::<Vec<_>>().join(": "),
            Self::Text(text) => text,
            Self::Other(_) => String::new(),
        };
        if let Some((end, _)) = text.char_indices().nth(CAUSE) {
            text.truncate(end);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIXED: &str = r#"{"took":7,"errors":true,"items":[{"create":{"_index":"a","status":201}},{"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse","caused_by":{"type":"x"}}}},{"index":{"status":429,"error":"busy"}},{"create":{"status":409}}]}"#;

    fn item(status: u16, cause: &str) -> BulkItem {
        BulkItem { status, cause: cause.to_owned() }
    }

    #[test]
    fn each_item_gives_its_status_and_cause_in_order() {
        let items = [
            item(201, ""),
            item(400, "document_parsing_exception: failed to parse"),
            item(429, "busy"),
            item(409, ""),
        ];
        assert_eq!(read(MIXED.as_bytes(), 4), Bulk::Items(items.to_vec()));
    }

    #[test]
    fn errors_false_says_it_of_all_even_where_the_items_are_left_out_or_cut_off() {
        for body in [
            r#"{"errors":false}"#,
            r#"{"errors":false,"took":1,"items":[{"create":{"status":201}},{"create":{"status":200}}]}"#,
            r#"{"errors":false,"items":[{"create":{"status":201}},{"cre"#,
        ] {
            assert_eq!(read(body.as_bytes(), 2), Bulk::AllDelivered, "{body}");
        }
    }

    #[test]
    fn a_contradiction_is_decided_by_the_items() {
        let body = br#"{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":500}}]}"#;
        assert_eq!(read(body, 2), Bulk::Items(vec![item(201, ""), item(500, "")]));
    }

    #[test]
    fn what_was_read_before_a_cut_counts() {
        let cut = MIXED.find("429").unwrap_or_default();
        let Bulk::Items(items) = read(&MIXED.as_bytes()[..cut], 4) else { panic!("two items are whole") };
        assert_eq!(items.iter().map(|item| item.status).collect::<Vec<_>>(), [201, 400]);
    }

    #[test]
    fn what_is_no_such_answer_says_nothing_of_any_event() {
        for body in [
            "",
            "ok",
            "[]",
            "{}",
            r#"{"errors":true}"#,
            r#"{"errors":true,"items":[]}"#,
            r#"{"errors":"no"}"#,
            r#"{"errors":true,"items":[{}]}"#,
            r#"{"errors":true,"items":[{"create":{}}]}"#,
            r#"{"errors":false,"items":[{"create":{"status":201}}]}"#,
            r#"{"errors":false} and more"#,
            "<html>",
            r#"{"errors":true,"items":[{"create":{"status":99999}}]}"#,
        ] {
            assert!(matches!(read(body.as_bytes(), 2), Bulk::Unknown(_)), "{body}: {:?}", read(body.as_bytes(), 2));
        }
        assert!(matches!(read(MIXED.as_bytes(), 3), Bulk::Unknown(_)), "more items than events");
    }

    #[test]
    fn the_fate_follows_the_verdict_but_409_and_2xx_are_taken() {
        let fate = |status, verdict| item(status, "c").fate(verdict);
        assert_eq!(fate(201, AnswerVerdict::Delivered), Fate::Delivered);
        assert_eq!(fate(409, AnswerVerdict::Retry), Fate::Delivered);
        assert_eq!(fate(429, AnswerVerdict::Retry), Fate::Again);
        assert_eq!(fate(403, AnswerVerdict::Unauthorized), Fate::Again);
        assert_eq!(fate(404, AnswerVerdict::Hold), Fate::Again);
        assert_eq!(fate(400, AnswerVerdict::Narrow), Fate::Refused { status: 400, cause: "c".to_owned() });
        assert_eq!(fate(413, AnswerVerdict::Halve), Fate::Refused { status: 413, cause: "c".to_owned() });
    }

    proptest! {
        #[test]
        fn no_prefix_of_an_answer_says_more_than_the_whole(cut in 0usize..400) {
            let cut = cut.min(MIXED.len());
            if let Bulk::Items(items) = read(&MIXED.as_bytes()[..cut], 4) {
                let Bulk::Items(whole) = read(MIXED.as_bytes(), 4) else { panic!("it is whole") };
                prop_assert_eq!(&items[..], &whole[..items.len()]);
            }
        }
    }
}
