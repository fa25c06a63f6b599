//! The scanner against serde_json: over random and mutated lines the two must never disagree.

#![expect(clippy::unwrap_used, reason = "a test")]

pub(crate) mod mutate;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value as Tree;

use super::{fields::MAX_MEMBERS, json::MAX_DEPTH, *};
use mutate::mutate;

const SAMPLES: [&str; 6] = [
    include_str!("../../tests/samples/connect.ndjson"),
    include_str!("../../tests/samples/infrakitchen.ndjson"),
    include_str!("../../tests/samples/konnect.ndjson"),
    include_str!("../../tests/samples/konnect.legacy.ndjson"),
    include_str!("../../tests/samples/konnect.cps.ndjson"),
    include_str!("../../tests/samples/chainloop.ndjson"),
];

const POINTERS: [&str; 9] = [
    "/type",
    "/action",
    "/name",
    "/creator",
    "/creator/identifier",
    "/Data/ActorID",
    "/Data/Info/email",
    "/links",
    "/a/b",
];

/// What serde_json says of a line.
fn theirs(line: &[u8]) -> Result<(), &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "invalid_utf8")?;
    serde_json::from_str::<IgnoredAny>(text).map(|_| ()).map_err(|_| "invalid_json")
}

/// How deep a line goes, strings left out; of a line that is valid up to there.
fn depth(line: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for &byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn agree(line: &[u8], context: &str) -> bool {
    let mut fields = Fields::new(PointerSet::new(&POINTERS), true);
    let ours = scan(line, &mut Nothing);
    assert_eq!(scan(line, &mut fields), ours, "{context}: a sink may not change the judgement");
    let shown = String::from_utf8_lossy(line);
    match (ours, theirs(line)) {
        (Ok(text), Ok(())) => {
            assert!(depth(line) <= MAX_DEPTH, "{context}: {shown}");
            same_values(text, &fields, context);
            return true;
        }
        (Err(Invalid::TooDeep { .. }), _) => assert!(depth(line) > MAX_DEPTH, "{context}: {shown}"),
        (Err(ours), Err(theirs)) => assert_eq!(ours.reason(), theirs, "{context}: {shown}"),
        (ours, theirs) => panic!("{context}: ours {ours:?}, theirs {theirs:?}: {shown}"),
    }
    false
}

/// Compares what was found with serde_json's tree, for lines that it can hold (no lone surrogates, no 1e999).
fn same_values(text: &str, fields: &Fields, context: &str) {
    let Ok(tree) = serde_json::from_str::<Tree>(text) else {
        return;
    };
    for (index, pointer) in POINTERS.iter().enumerate() {
        let theirs = through_objects(&tree, pointer);
        let ours = fields.get(index, text);
        assert_eq!(ours.map(|value| as_tree(&value)).as_ref(), theirs, "{context}: {pointer} of {text}");
    }
    let Some(members) = fields.members() else {
        return;
    };
    let Tree::Object(theirs) = tree else {
        return assert!(members.is_empty(), "{context}: {text}");
    };
    let counting: Vec<_> = members.iter().filter(|member| member.counts).collect();
    assert_eq!(counting.len(), theirs.len(), "{context}: {text}");
    for member in counting {
        let name = member.name(text, &mut String::new()).to_owned();
        assert_eq!(as_tree(&member.value(text)), theirs[&name], "{context}: {name} of {text}");
    }
}

fn through_objects<'t>(tree: &'t Tree, pointer: &str) -> Option<&'t Tree> {
    pointer.split('/').skip(1).try_fold(tree, |tree, name| tree.as_object()?.get(name))
}

fn as_tree(value: &Value<'_>) -> Tree {
    match value.is_string() {
        true => Tree::String(value.text(&mut String::new()).to_owned()),
        false => serde_json::from_str(value.raw).unwrap(),
    }
}

#[test]
fn mutated_samples_are_judged_and_read_as_serde_json_does() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let lines: Vec<&str> = SAMPLES.iter().flat_map(|sample| sample.lines()).collect();
    let (mut valid, cases) = (0, 40_000);
    for case in 0..cases {
        let mut line = lines[random.usize(..lines.len())].as_bytes().to_vec();
        mutate(&mut line, &mut random);
        valid += usize::from(agree(&line, &format!("seed {seed} case {case}")));
    }
    assert!(valid > cases / 20 && valid < cases * 19 / 20, "seed {seed}: {valid} of {cases} were valid");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn soups_of_tokens_are_judged_as_serde_json_does(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"type\"", "\"t\\u0079pe\"", "\"\\ud800\"", "\"", "\\", " ",
            "0", "-0", "1.5", "-1e999", "00", "1e", "true", "false", "null", "nul", "{}", "[]", "\"a\":", "\"type\":", "\u{1}",
        ]), 0..14)
    ) {
        agree(tokens.concat().as_bytes(), "soup");
    }

    #[test]
    fn any_bytes_are_judged_as_serde_json_does(line in prop::collection::vec(any::<u8>(), 0..24)) {
        agree(&line, "bytes");
    }

    #[test]
    fn written_values_are_found_again(tree in tree()) {
        prop_assert!(agree(tree.to_string().as_bytes(), "tree"));
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        ".{0,12}".prop_map(Tree::from),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "type",
            "action",
            "name",
            "creator",
            "identifier",
            "Data",
            "Info",
            "email",
            "links",
            "a",
            "b"
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::from),
            prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn the_well_known_traps_are_judged_as_serde_json_does() {
    for line in [
        "",
        " ",
        "{}",
        "[]",
        "{}{}",
        "{} x",
        "{}\0",
        "\u{feff}{}",
        "nan",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "01",
        "-0",
        "-01",
        "1.",
        ".1",
        "1e5",
        "1E+5",
        "1e",
        "1e999",
        "-1e-999",
        "123456789012345678901234567890",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\u12G4\"",
        "\"\\u123\"",
        "\"\\u",
        "\"\t\"",
        "\"\u{7f}\"",
        "\"\\'\"",
        "\"\\",
        "\"",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{,}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "{\"a\" : 1}",
        "\t\r\n{ \"a\" : [ ] , \"b\" : { } }\r",
        "tru",
        "trueX",
        "[true,false,null]",
        "'a'",
        "//",
        "{\"a\":1}//",
        "[}",
        "{]",
        "]",
        "}",
        "[1}",
        "{\"a\":1]",
        "\u{a0}1",
        "1\u{b}",
    ] {
        agree(line.as_bytes(), "trap");
    }
    for line in [&b"\"\xff\""[..], b"\xc3", b"\"\xed\xa0\x80\"", b"{\"a\":\"\xf0\x9f\x98\"}", b"\"\xc0\x80\""] {
        assert!(!agree(line, "trap"));
    }
}

#[test]
fn a_line_is_taken_down_to_the_depth_limit_and_no_further() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        for levels in [MAX_DEPTH - 2, MAX_DEPTH, MAX_DEPTH + 2, 100_000] {
            let times = levels / open.matches(['[', '{']).count();
            let line = format!("{}1{}", open.repeat(times), close.repeat(times));
            let judged = scan(line.as_bytes(), &mut Nothing);
            match levels <= MAX_DEPTH {
                true => assert_eq!(judged, Ok(line.as_str())),
                false => assert_eq!(judged.unwrap_err().reason(), "too_deep"),
            }
        }
    }
}

#[test]
fn an_error_says_where_and_what() {
    let error = |line: &[u8]| scan(line, &mut Nothing).unwrap_err().to_string();
    assert_eq!(error(b"{\"a\":1,}"), "not valid JSON at byte 7: expected a member's name in quotes");
    assert_eq!(error(b"\"ab\xff\""), "not UTF-8 at byte 3");
    assert_eq!(error(b"{\"a\":\"x\ty\"}"), "not valid JSON at byte 7: a control character in a string");
    assert_eq!(
        error(b"{\"a\":1} {\"b\":2}"),
        "not valid JSON at byte 8: an object begins behind the end of the first value: each belongs on a line of its own"
    );
    assert_eq!(error(b"{} x"), "not valid JSON at byte 3: more after the end of the value");
    assert_eq!(error("[".repeat(200).as_bytes()), "nested deeper than 128 levels at byte 128");
}

#[test]
fn repeated_names_are_counted_and_the_last_one_counts() {
    let find = |line: &str| {
        let mut fields = Fields::new(PointerSet::new(&POINTERS), false);
        scan(line.as_bytes(), &mut fields).unwrap();
        let of = |index: usize| fields.get(index, line).map(|value| value.raw.to_owned());
        (of(0), of(3), of(4), of(8), fields.repeated())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(find(r#"{"type":"x","type":"y"}"#), (some("y"), None, None, None, 1));
    assert_eq!(
        find(r#"{"creator":{"identifier":"x"},"creator":5}"#),
        (None, some("5"), None, None, 1),
        "what stood below a replaced value is gone with it"
    );
    assert_eq!(find(r#"{"a":{"b":1},"a":{"b":2,"b":3}}"#).3, some("3"));
    assert_eq!(find(r#"{"a":{"b":1},"a":{"b":2,"b":3}}"#).4, 2);
    assert_eq!(find(r#"{"a":[{"b":1}],"b":2}"#), (None, None, None, None, 0), "no path leads through an array");
    assert_eq!(find(r#"{"x":{"type":1,"type":2}}"#).4, 0, "nobody asked for these");
}

#[test]
fn an_object_with_too_many_members_is_not_listed() {
    let line = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"m{n}\":{{\"n\":{n}}}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let listed = |count| {
        let mut fields = Fields::new(PointerSet::new(&["/m0"]), true);
        scan(line(count).as_bytes(), &mut fields).unwrap();
        fields.members().map(<[Member]>::len)
    };
    assert_eq!(listed(MAX_MEMBERS), Some(MAX_MEMBERS));
    assert_eq!(listed(MAX_MEMBERS + 1), None);
}
