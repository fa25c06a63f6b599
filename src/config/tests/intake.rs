//! Profiles of log intakes, what stands round events, and who we are to a receiver.

use super::*;
use crate::config::{Answers, Auth, Compression, CompressionLevel, Framing, Secret, Token};

#[test]
fn profiles_of_intakes_set_what_the_readme_tabulates() {
    let (json, text) = ("application/json", "text/plain; charset=utf-8");
    for (profile, content_type, framing, compressed, bytes, header, scheme) in [
        ("splunk-hec", json, Framing::Lines, true, 1_000_000, "authorization", Some("Splunk")),
        ("splunk-hec-raw", text, Framing::Lines, true, 1_000_000, "authorization", Some("Splunk")),
        ("sumo", text, Framing::Lines, true, 1_000_000, "authorization", Some("Bearer")),
        ("datadog", json, Framing::Array, true, 4_000_000, "dd-api-key", None),
        ("elastic-bulk", "application/x-ndjson", Framing::Lines, true, 5_000_000, "authorization", Some("ApiKey")),
        ("sentinel", json, Framing::Array, true, 1_000_000, "authorization", Some("Bearer")),
        ("secops", text, Framing::Lines, false, 1_000_000, "x-webhook-access-key", None),
        ("panther", "application/x-ndjson", Framing::Lines, true, 900_000, "authorization", Some("Bearer")),
        ("logscale", text, Framing::Lines, true, 1_000_000, "authorization", Some("Bearer")),
        ("loki", json, Framing::Array, true, 1_000_000, "authorization", Some("Bearer")),
        ("better-stack", "application/x-ndjson", Framing::Lines, true, 1_000_000, "authorization", Some("Bearer")),
        (
            "dynatrace",
            "application/json; charset=utf-8",
            Framing::Array,
            false,
            4_000_000,
            "authorization",
            Some("Api-Token"),
        ),
    ] {
        let forwarder = only(&forwarder(&format!("profile: {profile}\ntoken: abc")));
        assert_eq!((forwarder.content_type.as_str(), forwarder.framing), (content_type, framing), "{profile}");
        let compression = if compressed { Compression::Gzip(CompressionLevel::Default) } else { Compression::None };
        assert_eq!((forwarder.compression, forwarder.content_encoding.as_str()), (compression, "gzip"), "{profile}");
        assert_eq!((forwarder.batch.max_bytes, forwarder.batch.max_events), (bytes, 1000), "{profile}");
        let auth = Auth::Token {
            token: Token::Inline(Secret::new("abc")),
            header: header.parse().expect("a header"),
            scheme: scheme.map(str::to_owned),
        };
        assert_eq!(forwarder.auth, auth, "{profile}");
        let bulk = if profile == "elastic-bulk" { Answers::Bulk } else { Answers::Status };
        assert_eq!(forwarder.answers, bulk, "{profile}");
        let wrapped = ["splunk-hec", "datadog", "elastic-bulk", "loki", "dynatrace"].contains(&profile);
        assert_eq!(forwarder.wrap.is_some(), wrapped, "{profile}");
    }
}

#[test]
fn any_key_beside_a_profile_wins() {
    let loki = only(&forwarder(
        "profile: loki\njson: {wrap: {prefix: '{\"streams\":[{\"stream\":{\"job\":\"x\"},\"values\":'}}",
    ));
    let wrap = loki.wrap.expect("it has one");
    assert!(wrap.prefix.contains("\"x\"") && wrap.suffix == "}]}" && wrap.event.text().contains("%time.ns%"));
    let bare =
        only(&forwarder("profile: datadog\nframing: lines\njson: {wrap: {event: '%json%'}}\nbatch: {maxBytes: 2MB}"));
    assert_eq!((bare.framing, bare.batch.max_bytes), (Framing::Lines, 2_000_000));
    let mine = only(&forwarder("profile: splunk-hec\ntoken: abc\nauth: {scheme: Bearer}\nanswers: bulk"));
    assert!(matches!(mine.auth, Auth::Token { scheme: Some(scheme), .. } if scheme == "Bearer"));
    assert_eq!(mine.answers, Answers::Bulk);
    let header = only(&forwarder("profile: splunk-hec\ntoken: abc\nauth: {header: X-Key}"));
    assert!(matches!(header.auth, Auth::Token { header, scheme: None, .. } if header == "x-key"));
    for (profile, expected) in [("splunk-hec", "Splunk"), ("datadog", "Bearer"), ("none", "Bearer")] {
        let text = format!("profile: {profile}\ntoken: abc\nauth: {{header: authorization}}");
        let Auth::Token { scheme, .. } = only(&forwarder(&text)).auth else { panic!("a token") };
        assert_eq!(scheme.as_deref(), Some(expected), "that header has a word before the token");
    }
}

#[test]
fn what_is_wrapped_is_json_whatever_the_format() {
    let cef = only(&forwarder("format: cef\nframing: array\njson: {wrap: {event: '{\"RawData\":%text%}'}}"));
    assert_eq!((cef.framing, cef.content_type.as_str()), (Framing::Array, "application/json"));
    let hec = only(&forwarder("format: cef\nprofile: splunk-hec"));
    assert_eq!(hec.content_type, "application/json");
}

/// The one complaint without its place, which is that of the path.
#[track_caller]
fn complaint(more: &str) -> String {
    let complaints = complaints(&forwarder(more));
    let [only] = complaints.as_slice() else { panic!("{more}: {complaints:?}") };
    only.split_once("forwarders[0].").map(|(_, what)| what.to_owned()).unwrap_or_else(|| panic!("{only}"))
}

#[test]
fn a_wrap_that_makes_no_json_is_refused_with_what_it_makes() {
    let quotes = r#"{"a":"\"b\\","c":[1,{}]}"#;
    for (more, start, words) in [
        (
            "json: {wrap: {event: '{\"event\":%json%'}}",
            "json.wrap.event: makes no JSON (expected `,` or `}`): a body of two events would be ",
            format!("`{{\"event\":{quotes}\\n{{\"event\":"),
        ),
        (
            "json: {wrap: {event: '\"%json%\"'}}\nframing: single",
            "json.wrap.event: makes no JSON (trailing characters): a body would be ",
            format!("`\"{quotes}\"`"),
        ),
        (
            "json: {wrap: {event: '{\"event\":%jsn%}'}}",
            "json.wrap.event: has no such place as %jsn%: there are %json%, %text%, %source%, %time.s%, %time.ms%, ",
            "did you mean \"%json%\"?".to_owned(),
        ),
        (
            "json: {wrap: {event: '{\"time\":%time.s%}'}}",
            "json.wrap.event: has no place for the event: it needs %json% or %text%",
            String::new(),
        ),
        (
            "profile: loki\njson: {wrap: {suffix: ']}'}}",
            "json.wrap.suffix: makes no JSON (expected `,` or `}`): a body of two events would be ",
            "]]]}`".to_owned(),
        ),
    ] {
        let complaint = complaint(more);
        assert!(complaint.starts_with(start) && complaint.contains(&words), "{complaint}");
    }
}

#[test]
fn a_profile_that_is_not_known_gets_the_nearest_word() {
    let [complaint] = &complaints(&forwarder("profile: splunk-hc"))[..] else { panic!("one") };
    assert!(complaint.ends_with("did you mean \"splunk-hec\"?"), "{complaint}");
}

#[test]
fn a_forwarder_is_one_client_in_one_way() {
    let oauth2 = "tokenUrl: https://login.test/token, clientId: me";
    let cases = [
        (
            "token: abc\nauth: {basic: {username: u, password: s3cret}}".to_owned(),
            "auth.basic: stands beside token or tokenFile: only one of them can be used",
        ),
        (
            format!("auth: {{basic: {{username: u, password: s3cret}}, oauth2: {{{oauth2}, clientSecret: s3cret}}}}"),
            "auth.oauth2: stands beside auth.basic: only one of them can be used",
        ),
        (
            "auth: {scheme: Splunk}".to_owned(),
            "auth.scheme: has no effect without token or tokenFile, which it says how to send",
        ),
        (
            "token: abc\nauth: {scheme: \"Spl unk\"}".to_owned(),
            "auth.scheme: must be one word, such as Bearer, Splunk or ApiKey",
        ),
        ("token: abc\nauth: {header: Content-Type}".to_owned(), "auth.header: is set by auditpost: use contentType"),
        (
            "token: abc\nauth: {header: X-Key}\nheaders: {x-key: b}".to_owned(),
            "headers.x-key: stands beside token or tokenFile, which sets it",
        ),
        (
            "auth: {basic: {username: u, password: p}}\nheaders: {Authorization: b}".to_owned(),
            "headers.Authorization: stands beside auth, which sets it",
        ),
        ("auth: {basic: {username: u}}".to_owned(), "auth.basic: needs password or passwordFile"),
        (
            "auth: {basic: {username: \"u:v\", password: s3cret}}".to_owned(),
            "auth.basic.username: has a colon or a control character in it, which no user name may",
        ),
        (
            "auth: {basic: {username: u, password: s3cret, passwordFile: /p}}".to_owned(),
            "auth.basic.passwordFile: stands beside password: only one of them can be used",
        ),
        (format!("auth: {{oauth2: {{{oauth2}}}}}"), "auth.oauth2: needs clientSecret or clientSecretFile"),
        (
            "auth: {oauth2: {tokenUrl: \"http://login.test/t\", clientId: me, clientSecret: s3cret}}".to_owned(),
            "auth.oauth2.tokenUrl: plain http to another host shows events and token to the \
             network: use https, or set allowHttp: true",
        ),
        ("auth: {oauth2: {clientId: me, clientSecret: s3cret}}".to_owned(), "auth.oauth2.tokenUrl: is missing"),
    ];
    for (more, expected) in &cases {
        assert_eq!(complaint(more), *expected, "{more}");
    }
}

#[test]
fn a_scope_is_the_profiles_unless_it_is_written() {
    let scope = |profile: &str, scope: &str| {
        let text = format!(
            "profile: {profile}\nauth: {{oauth2: {{tokenUrl: \"https://login.test/t\", clientId: me, clientSecret: s{scope}}}}}"
        );
        let Auth::OAuth2(client) = only(&forwarder(&text)).auth else { panic!("a client") };
        client.scope.clone()
    };
    assert_eq!(scope("none", ""), None);
    assert_eq!(scope("sentinel", "").as_deref(), Some("https://monitor.azure.com/.default"));
    assert_eq!(scope("sentinel", ", scope: mine").as_deref(), Some("mine"));
}
