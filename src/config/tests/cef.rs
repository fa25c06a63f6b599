//! `cef` of a forwarder.

use super::*;
use crate::{
    config::{CefConfig, Dialect, Ipv6, Mapped, MappedFrom, MappedKey, PrefixPart},
    format::CefKey,
};

fn cef(more: &str) -> String {
    forwarder(&format!("format: cef\ncef:\n  {}", more.replace('\n', "\n  ")))
}

#[test]
fn all_of_it_may_be_left_out_or_set() {
    assert_eq!(only(&forwarder("format: cef")).cef, CefConfig::default());
    let pointer = |names: &[&str]| MappedFrom::Pointer(names.iter().map(|name| (*name).to_owned()).collect());
    let written = only(&cef(concat!(
        "{dialect: konnect, vendor: V, product: P, version: 1.2, host: h, prefix: '{time} {host} x', ipv6: c6a2, ",
        "leadingSpace: true, rawEvent: true, severity: {denied: 10, login: 0}, ",
        "map: {cs1: {from: /a~1b/c, label: L}, spriv: /r, acmeTenant: {from: /t}}}"
    )));
    let text = |text: &str| Some(text.to_owned());
    let expected = CefConfig {
        dialect: Dialect::Konnect,
        vendor: text("V"),
        product: text("P"),
        version: text("1.2"),
        host: text("h"),
        prefix: vec![
            PrefixPart::Time,
            PrefixPart::Text(" ".to_owned()),
            PrefixPart::Host,
            PrefixPart::Text(" x".to_owned()),
        ],
        map: vec![
            Mapped { key: MappedKey::Own("acmeTenant".to_owned()), from: pointer(&["t"]) },
            Mapped { key: MappedKey::Dictionary(CefKey::Cs1, text("L")), from: pointer(&["a/b", "c"]) },
            Mapped { key: MappedKey::Dictionary(CefKey::Spriv, None), from: pointer(&["r"]) },
        ],
        severity: [("denied".to_owned(), 10), ("login".to_owned(), 0)].into(),
        ipv6: Ipv6::C6a2,
        leading_space: true,
        raw_event: true,
    };
    assert_eq!(written.cef, expected);
}

#[test]
fn keys_that_readers_could_not_take_are_refused_all_at_once() {
    let text = cef(concat!(
        "map:\n  a-b: /x\n  Severity: /x\n  message: /x\n  eventId: /x\n  ad_x: /x\n  cs1: /x\n  cs2Label: /x\n",
        "  cs3: {from: /x, label: ' '}\n  src: {from: /x, label: l}\n  own: {label: l}\n  tenant: tenant"
    ));
    let found = complaints(&text);
    let expect = [
        ("map.a-b", "is no key that every reader takes"),
        ("map.Severity", "is the name of a header field"),
        ("map.message", "is the name of a header field"),
        ("map.eventId", "is set by the SIEM"),
        ("map.ad_x", "is auditpost's own"),
        ("map.cs1", "has no label"),
        ("map.cs2Label", "is written with cs2"),
        ("map.cs3.label", "is empty"),
        ("map.src.label", "has no effect"),
        ("map.own.from", "is missing"),
        ("map.own.label", "has no effect"),
        ("map.tenant", "JSON pointer"),
    ];
    for (path, what) in expect {
        let told = found.iter().filter(|line| line.contains(&format!("{path}: ")) && line.contains(what)).count();
        assert_eq!(told, 1, "{path} {what}: {found:#?}");
    }
    assert_eq!(found.len(), expect.len(), "{found:#?}");
}

#[test]
fn texts_of_every_line_must_be_what_every_reader_takes() {
    for (more, what) in [
        ("vendor: a|b", "cef.vendor: has a |"),
        ("product: a=b", "cef.product: has a |"),
        ("version: ' '", "cef.version: is empty"),
        ("version: 12345678901234567890123456789012", "cef.version: is too long: 31"),
        ("host: a b", "cef.host: has a space"),
        ("prefix: '{host} '", "cef.prefix: has {host} in it, and no host"),
        ("prefix: '{tim} '", "did you mean \"time\"?"),
        ("prefix: '{time '", "cef.prefix: has a { without"),
        ("prefix: 'CEF:0 '", "cef.prefix: must be one line"),
        ("severity: {denied: 11}", "out of range: 0 to 10"),
        ("dialect: konect", "did you mean \"konnect\"?"),
        ("rawevent: true", "did you mean \"rawEvent\"?"),
    ] {
        let found = complaints(&cef(more));
        assert!(found.len() == 1 && found[0].contains(what), "{more}: {found:?}");
    }
    let json = complaints(&forwarder("cef: {rawEvent: true}"));
    assert!(json.len() == 1 && json[0].contains("cef: has no effect"), "{json:?}");
}
