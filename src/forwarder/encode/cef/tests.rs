//! What was written is read back, by a decoder that knows the standard and not the writer.

#![expect(clippy::unwrap_used, reason = "a test")]

mod decoder;
mod golden;
mod random;
mod systems;

use std::cmp::Reverse;

use decoder::decode;
use proptest::prelude::*;
use serde_json::{Map, Value as Tree, json};

use crate::{
    config::{Format, Schema},
    forwarder::encode::{EventEncoder, Stub},
    schema::Checker,
};

fn encoded(schema: Schema, line: &[u8]) -> String {
    let mut encoder = EventEncoder::new(Format::Cef, "portal");
    let mut checker = Checker::new(schema, encoder.needs());
    let mut out = Vec::new();
    encoder.encode(&checker.check(line).unwrap(), &mut out);
    String::from_utf8(out).unwrap()
}

fn cef(line: &str) -> String {
    encoded(Schema::Auto, line.as_bytes())
}

/// What a reader gets for a text: trimmed, one kind of line break, control characters made visible.
fn shown(text: &str) -> String {
    let text = text.trim().replace("\r\n", "\n").replace('\r', "\n");
    let visible = |character: char| match character {
        '\t' | '\n' => character.to_string(),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
            format!("\\u{:04x}", u32::from(character))
        }
        other => other.to_string(),
    };
    text.chars().map(visible).collect()
}

fn text_of(value: &Tree) -> String {
    match value {
        Tree::Null => String::new(),
        Tree::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

fn millis(time: &str) -> String {
    match time {
        "2026-08-19T09:14:01Z" => "1787130841000".to_owned(),
        seconds if seconds.len() == 10 => format!("{seconds}000"),
        other => other.to_owned(),
    }
}

const TAKEN_ELSEWHERE: [&str; 8] = ["rt", "externalId", "src", "suser", "suid", "act", "outcome", "msg"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_member_of_any_object_is_read_back_from_one_line(object in object()) {
        let line = Tree::Object(object.clone()).to_string();
        let decoded = decode(&cef(&line));
        prop_assert_eq!(&decoded.header[..3], ["auditpost", "portal", "1.0"]);
        let class_id = &decoded.header[3];
        let event_type = ["type", "event_type", "eventType", "action", "event", "name"]
            .iter().find_map(|name| object.get(*name)?.as_str()).map(shown).filter(|text| !text.is_empty());
        prop_assert_eq!(class_id, &event_type.unwrap_or("event".to_owned()).replace(['\n', '\t'], " "));
        let mut values = decoded.pairs.clone();
        let changed = |name: &str| name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (mut others, own_names): (Vec<_>, Vec<_>) = object.iter().partition(|(name, _)| changed(name));
        // A long name's own key may look like a numbered one of a shorter name.
        others.sort_by_key(|(name, _)| Reverse(name.chars().count()));
        for (name, member) in own_names.into_iter().chain(others) {
            let value = text_of(member);
            let own: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            let own = format!("ad_{own}");
            let has = |key: &str| {
                let expected = if key == "rt" { millis(&value) } else { value.clone() };
                values.get(key) == Some(&expected)
            };
            let numbered = values.keys().filter(|key| key.starts_with(&format!("{own}_")));
            let whole = TAKEN_ELSEWHERE.map(|key| format!("adWhole_{key}"));
            let keys = [own.as_str()].into_iter().chain(numbered.map(String::as_str));
            let mut keys = keys.chain(whole.iter().map(String::as_str)).chain(TAKEN_ELSEWHERE);
            let key = keys.find(|key| has(key)).map(str::to_owned);
            drop(keys);
            if let Some(key) = &key {
                values.remove(key);
                if let Some(cut) = key.strip_prefix("adWhole_").and_then(|cut| values.remove(cut)) {
                    prop_assert!(value.starts_with(cut.strip_suffix("...").unwrap().trim_end()), "{cut} of {value}");
                }
            }
            let in_header = !value.is_empty() && decoded.header[3..].contains(&value);
            prop_assert_eq!(key.is_some() || in_header, !value.is_empty(), "{} of {} in {:?}", name, line, decoded);
        }
        values.remove("rt");
        values.remove("adCut");
        prop_assert!(values.is_empty(), "{:?} come from nowhere: {}", values, line);
    }

    #[test]
    fn any_text_is_read_back_from_one_line(text in text(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let decoded = decode(&cef(&json!(text).to_string()));
        prop_assert_eq!(decoded.pairs.get("msg"), Some(&shown(&json!(text).to_string())));
        let raw = decode(&encoded(Schema::Raw, &bytes));
        let expected = shown(&String::from_utf8_lossy(&bytes));
        prop_assert_eq!(raw.pairs.get("msg").cloned().unwrap_or_default(), expected);
    }
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "=",
        "\\",
        "|",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\u{1b}",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "é",
        "😀",
        "\"",
        " msg=x",
        " src=9.9.9.9",
        "CEF:0|a|b|c|d|e|3|",
        "\\n",
        "\\=",
        "key",
        "2026-08-19T09:14:01Z",
        "10.0.0.1",
        "1787130841216",
    ]);
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn object() -> impl Strategy<Value = Map<String, Tree>> {
    let name = prop_oneof![
        4 => prop::sample::select(vec![
            "type", "event_type", "eventType", "action", "event", "name", "id", "event_id", "time", "Timestamp", "rt",
            "actor", "user_id", "src", "ip", "message", "msg", "outcome", "severity",
            "a.b", "a-b", "a_b", "a b", "a_b_1", "a_b_2", "é", "", "deviceVendor", "suser",
        ]).prop_map(str::to_owned),
        1 => text(),
    ];
    let value = prop_oneof![
        4 => text().prop_map(Tree::from),
        1 => any::<i32>().prop_map(Tree::from),
        1 => (0..12).prop_map(Tree::from),
        1 => any::<bool>().prop_map(Tree::from),
        1 => Just(Tree::Null),
        1 => prop::collection::vec(text().prop_map(Tree::from), 0..3).prop_map(Tree::from),
        1 => (text(), text()).prop_map(|(name, text)| json!({name: text})),
    ];
    prop::collection::vec((name, value), 0..10).prop_map(|members| members.into_iter().collect())
}

#[test]
fn common_names_go_under_the_dictionarys_keys() {
    let line = r#"{"id":"e-1","occurredAt":"2026-08-19T08:15:02.481Z","type":"LOGIN","message":"a=b \"c\"","links":[{"id":"x"}],
        "actor":"auth0|1","sourceIp":"2001:db8::1","outcome":"SUCCESS","serverVersion":"0.55.2","none":null,"empty":" "}"#;
    assert_eq!(
        cef(&line.replace("\n        ", "")),
        r#"CEF:0|auditpost|portal|1.0|LOGIN|LOGIN|3|rt=1787127302481 src=2001:db8::1 externalId=e-1 "#.to_owned()
            + r#"suser=auth0|1 outcome=SUCCESS msg=a\=b "c" ad_links=[{"id":"x"}] ad_serverVersion=0.55.2"#
    );
    let konnect = r#"{"action":"list","actor_id":"","granted":true,"name":"Authz.portals","rt":"1747355282193","severity":1,"src":"127.0.0.6"}"#;
    assert_eq!(
        cef(konnect),
        "CEF:0|auditpost|portal|1.0|list|Authz.portals|1|rt=1747355282193 src=127.0.0.6 act=list ad_granted=true"
    );
}

#[test]
fn what_a_dictionary_key_cannot_take_goes_whole_under_a_key_of_ours() {
    const EXTERNAL_ID: usize = 40;
    let id = "x".repeat(EXTERNAL_ID + 1);
    let pairs = decode(&cef(&json!({"id": id}).to_string())).pairs;
    assert_eq!(pairs.into_iter().collect::<Vec<_>>(), [("ad_id".to_owned(), id)]);
    let pairs = |line: Tree| decode(&cef(&line.to_string())).pairs.into_iter().collect::<Vec<_>>();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(pairs(json!({"id": "é".repeat(EXTERNAL_ID)})), [pair("externalId", &"é".repeat(EXTERNAL_ID))]);
    assert_eq!(
        pairs(json!({"src": "localhost", "ip": "10.0.0.1"})),
        [pair("ad_src", "localhost"), pair("src", "10.0.0.1")]
    );
    assert_eq!(pairs(json!({"severity": 11})), [pair("ad_severity", "11")]);
    assert_eq!(pairs(json!({"actor": {"id": 1}})), [pair("ad_actor", r#"{"id":1}"#)]);
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters_marked_and_there_as_a_whole() {
    let text = format!("{}é{}", "a".repeat(1019), "b".repeat(10));
    let mut encoder = EventEncoder::new(Format::Cef, "portal");
    let mut checker = Checker::new(Schema::Auto, encoder.needs());
    let line = json!({"message": text, "outcome": "x".repeat(63)}).to_string();
    let mut out = Vec::new();
    encoder.encode(&checker.check(line.as_bytes()).unwrap(), &mut out);
    let pairs = decode(std::str::from_utf8(&out).unwrap()).pairs;
    assert_eq!(pairs["msg"], format!("{}é...", "a".repeat(1019)), "1023 characters, not bytes");
    assert_eq!((&pairs["adWhole_msg"], pairs["adCut"].as_str(), pairs.len()), (&text, "msg", 4));
    assert_eq!((encoder.take_cuts(), encoder.take_cuts()), (1, 0));
    let fits = decode(&cef(&json!({"message": "é".repeat(1023)}).to_string())).pairs;
    assert_eq!(fits.into_iter().collect::<Vec<_>>(), [("msg".to_owned(), "é".repeat(1023))]);
    let visible = decode(&cef(&json!({"message": "\u{1}".repeat(171)}).to_string())).pairs;
    assert_eq!(visible["msg"], format!("{}...", "\\u0001".repeat(170)), "six characters each for a reader");
}

#[test]
fn a_time_is_milliseconds_and_keeps_its_text_where_that_says_more() {
    let pairs = |time: &str| decode(&cef(&json!({"time": time}).to_string())).pairs.into_iter().collect::<Vec<_>>();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    for (text, millis) in [
        ("2026-08-19T09:14:01Z", "1787130841000"),
        ("2026-08-19T11:14:01.250+02:00", "1787130841250"),
        ("1787130841", "1787130841000"),
        ("1787130841216", "1787130841216"),
    ] {
        assert_eq!(pairs(text), [pair("rt", millis)]);
    }
    let fine = "2026-08-19T09:14:01.120934871Z";
    assert_eq!(pairs(fine), [pair("ad_time", fine), pair("rt", "1787130841120")]);
    for none in ["2026-08-19T09:14:01", "yesterday", "12"] {
        assert_eq!(pairs(none), [pair("ad_time", none)], "no instant, so no rt");
    }
}

#[test]
fn names_that_become_one_key_get_a_number_each() {
    let line = r#"{"a.b":1,"a-b":2,"a_b":3,"a_b_1":4,"a b":5,"b":6}"#;
    assert_eq!(
        cef(line),
        "CEF:0|auditpost|portal|1.0|event|event|3|ad_a_b_0=1 ad_a_b_1_1=2 ad_a_b=3 ad_a_b_1=4 ad_a_b_4=5 ad_b=6"
    );
    assert_eq!(cef(r#"{"a":1,"b":2,"a":3}"#), "CEF:0|auditpost|portal|1.0|event|event|3|ad_b=2 ad_a=3");
}

#[test]
fn a_header_field_is_cut_at_its_limit_and_is_then_under_a_key_of_ours_as_a_whole() {
    let long = "é".repeat(2000);
    let decoded = decode(&cef(&json!({"type": long, "name": long}).to_string()));
    assert_eq!(decoded.header[3..5].iter().map(|field| field.chars().count()).collect::<Vec<_>>(), [1023, 512]);
    assert_eq!(decoded.pairs["ad_type"], long);
    assert_eq!(decoded.pairs["ad_name"], long);
    assert_eq!(decoded.pairs["adCut"], "deviceEventClassId,name");
    let broken = decode(&cef(&json!({"type": "a|b\\c\r\nd"}).to_string()));
    assert_eq!((broken.header[3].as_str(), broken.pairs["ad_type"].as_str()), ("a|b\\c d", "a|b\\c\nd"));
    assert!(!broken.pairs.contains_key("adCut"));
    assert!(cef(&json!({"type": "a|b\\c"}).to_string()).ends_with(r"|a\|b\\c|a\|b\\c|3|"));
}

#[test]
fn what_is_no_object_or_has_too_many_members_is_one_value() {
    let start = "CEF:0|auditpost|portal|1.0|event|event|3|";
    assert_eq!(cef("{}"), start);
    assert_eq!(cef("[1,\"=\"]"), format!("{start}msg=[1,\"\\=\"]"));
    assert_eq!(encoded(Schema::Raw, b"free text \xff"), format!("{start}msg=free text \u{fffd}"));
    let many: Map<String, Tree> =
        (0..300).map(|n| (format!("m{n}"), json!(n))).chain([("type".to_owned(), json!("big"))]).collect();
    let line = Tree::Object(many).to_string();
    let decoded = decode(&cef(&line));
    assert_eq!((decoded.header[3].as_str(), &decoded.pairs["adWhole_msg"]), ("big", &line));
    assert_eq!(decoded.pairs["adCut"], "msg");
}

#[test]
fn an_event_that_was_checked_for_less_still_loses_nothing() {
    let line = br#"{"type":"x","a":1}"#;
    let mut out = Vec::new();
    let mut checker = Checker::new(Schema::Auto, crate::schema::Needs::Type);
    EventEncoder::new(Format::Cef, "portal").encode(&checker.check(line).unwrap(), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), r#"CEF:0|auditpost|portal|1.0|x|x|3|msg={"type":"x","a":1}"#);
}

#[test]
fn a_stub_says_what_is_missing_in_both_formats() {
    let stub = Stub { event_id: "portal/1/0-\"2\"", bytes: 2_000_000, sha256: "abc123" };
    let mut json = Vec::new();
    EventEncoder::new(Format::Json, "portal").stub(&stub, &mut json);
    assert_eq!(
        serde_json::from_slice::<Tree>(&json).unwrap(),
        json!({"auditpost": {"stub": "line_too_long", "event_id": "portal/1/0-\"2\"", "bytes": 2_000_000, "sha256": "abc123"}})
    );
    let mut cef = Vec::new();
    EventEncoder::new(Format::Cef, "portal").stub(&stub, &mut cef);
    assert_eq!(
        String::from_utf8(cef).unwrap(),
        "CEF:0|auditpost|portal|1.0|line_too_long|Line too long|6|externalId=portal/1/0-\"2\" ad_bytes=2000000 ad_sha256=abc123"
    );
    let mut cef = Vec::new();
    EventEncoder::new(Format::Cef, "portal").stub(&Stub { event_id: &"x".repeat(50), ..stub }, &mut cef);
    assert_eq!(decode(std::str::from_utf8(&cef).unwrap()).pairs["ad_event_id"], "x".repeat(50));
}

#[test]
fn json_is_the_line_byte_for_byte() {
    let line = "{ \"a\" : 1e999 ,\"a\":\"\\u0041\u{2028}\"}\r ".as_bytes();
    let mut encoder = EventEncoder::new(Format::Json, "portal");
    let mut out = b"before".to_vec();
    encoder.encode(&Checker::new(Schema::Auto, encoder.needs()).check(line).unwrap(), &mut out);
    assert_eq!(out, [b"before", line].concat());
}
