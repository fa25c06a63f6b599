//! No problem shows a secret, wherever it stands.

use super::*;

/// Each configuration is bad and holds `s3cret` in some place, or a variable that does.
#[test]
fn no_secret_is_printed() {
    for more in [
        "token: s3cret half",
        "token: 's3cret half' # s3cret",
        "token: &s3cret",
        "token: *s3cret",
        "token: !s3cret",
        "token: [s3cret]",
        "token: {s3cret: s3cret}",
        "token: {{ s3cret }}",
        "token: {s3cret: 1, s3cret: 2}",
        "token: ${GONE:-s3cret half}",
        "token: ${SECRET} s3cret",
        "token: ${GONE} s3cret",
        "token: s3cret$",
        "token: \"s3cret\\r\\n\\0\"",
        "token: |\n  s3cret\n  s3cret\ntimeout: 1",
        "token: s3cret\ntokenFile: /x",
        "token: s3cret\ntoken: s3cret",
        "tokn: s3cret",
        "password: s3cret",
        "Authorization: Bearer s3cret",
        "headers: s3cret",
        "headers: [s3cret]",
        "headers: {X-A: s3crét, X-B: s3cret}",
        "headers: {X-A: [s3cret]}",
        "headers: {X-A: {s3cret: s3cret}}",
        "headers: {Host: s3cret}",
        "headers: {X-A: \"s3cret\\0\"}",
        "{token: s3cret}: 1",
        "batch: {token: s3cret, maxEvents: 0}",
        "batch: s3cret",
        "inFlight: ${WORDS}",
        "timeout: ${SECRET}",
        "name: ${WORDS}",
        "method: ${SECRET}",
        "sources: [\"${SECRET}\"]",
        "kind: ${SECRET}",
        "allowHttp: ${SECRET}",
        "batch: {maxBytes: \"${SECRET}\"}",
        "contentType: \"${SECRET}\\n\"",
        "disabledEvents: [\"${SECRET}\"]\nenabledEvents: [\"${SECRET}\"]",
        "timeout: 1 # s3cret",
        "timeout: x\ntoken: \"s3cret\n  s3cret: s3cret\"",
        // Syntax errors.
        "token: \"s3cret",
        "token: s3cret: s3cret",
        "token: s3cret\n bad: [s3cret",
        "headers: {X: s3cret",
        "headers: {X-Api-Key: s3cret, Y: ]",
        "headers:\n    X: s3cret\n  Y: s3cret\n s3cret",
        "token: @s3cret",
        "token: `s3cret",
        "token: %s3cret: [",
        "token: 's3cret' s3cret",
        "name: x, token: s3cret: y",
    ] {
        let printed = load(&forwarder(more)).expect_err(more).to_string();
        assert!(!printed.contains("s3cr"), "{more}\n{printed}");
    }
}

#[test]
fn no_part_of_a_uri_that_may_be_secret_is_printed() {
    for uri in [
        "https://user:s3cret@siem.test/x",
        "http://user:s3cret@siem.test/x",
        "https://s3cret@siem.test/#x",
        "\"https://user:s3cret\\x40siem.test/\"",
        "https:s3cret@siem.test",
        "user:s3cret@siem.test",
        "http://siem.test/?key=s3cret",
        "\"http://siem.test/\\x3fkey=s3cret\"",
        "http://siem.test/?key=s3cret#s3cret",
        "\"http://siem.test/?${GONE}=s3cret\"",
        "\"https://${SECRET}:99999/\"",
        "\"http://${SECRET}/\"",
        "https://siem.test:s3cret@x:99999/",
    ] {
        let text = format!("sources: [{{name: a, include: [/x]}}]\nforwarders: [{{uri: {uri}, timeout: 1}}]");
        let printed = load(&text).expect_err(uri).to_string();
        assert!(!printed.contains("s3cr"), "{uri}\n{printed}");
        assert!(printed.contains("forwarders[0].timeout"), "{uri} is masked, not a syntax error\n{printed}");
    }
}

#[test]
fn neighbours_on_a_line_are_masked_too() {
    let text = forwarder("x: 1").replace("  x: 1", "  batch: {maxEvnts: s3cret, maxAge: 1}\n  token: abc # s3cret");
    let printed = load(&text).expect_err("it is bad").to_string();
    assert!(printed.contains("batch: {maxEvnts: ***, maxAge: 1}"), "{printed}");
    assert!(!printed.contains("s3cret"), "{printed}");
}

#[test]
fn a_bare_reference_is_shown_for_it_is_no_secret() {
    let printed = load(&forwarder("token: ${GONE}")).expect_err("it is bad").to_string();
    assert!(printed.contains("token: ${GONE}\n"), "{printed}");
    assert!(printed.contains("the variable GONE is not set"), "{printed}");
}

#[test]
fn a_good_configuration_does_not_print_its_secrets() {
    for secrets in [
        "token: ${SECRET}\nheaders: {X-Key: s3cret}",
        "auth: {basic: {username: u, password: s3cret}}",
        "auth: {oauth2: {tokenUrl: \"https://login.test/t?k=s3cret\", clientId: me, clientSecret: \"${SECRET}\"}}",
    ] {
        let printed = format!("{:?}", load(&forwarder(secrets)).expect("it is good"));
        assert!(!printed.contains("s3cret") && printed.contains("[redacted]"), "{printed}");
    }
}

/// Each slip of one letter, all over a configuration that holds secrets.
#[test]
fn a_slip_of_the_hand_anywhere_prints_no_secret() {
    slip_everywhere(
        "\
sources: [{name: a, include: [/x]}]
forwarders:
- uri: https://siem.test/x?key=s3cret
  token: s3cret # s3cret
  headers:
    X-A: s3cret
    X-B: 's3cret'
  batch: {maxAge: 1s}
- {uri: \"https://siem.test/y\", token: \"s3cret\", headers: {X-A: s3cret}}
",
    );
}

#[test]
fn a_slip_of_the_hand_among_credentials_prints_no_secret() {
    slip_everywhere(
        "\
sources: [{name: a, include: [/x]}]
forwarders:
- uri: https://siem.test/z
  auth:
    oauth2:
      tokenUrl: https://login.test/t?key=s3cret
      clientId: me
      clientSecret: s3cret
- {uri: \"https://siem.test/b\", name: b, auth: {basic: {username: u, password: s3cret}}}
",
    );
}

fn slip_everywhere(text: &str) {
    for (at, letter) in text.char_indices() {
        let inside = |secret: usize| secret < at && at < secret + "s3cret".len();
        if text.match_indices("s3cret").any(|(secret, _)| inside(secret)) {
            continue;
        }
        let (before, after) = (&text[..at], &text[at + letter.len_utf8()..]);
        let slips = SLIPS.iter().map(|slip| format!("{before}{slip}{letter}{after}"));
        let left_out = (letter != 's').then(|| format!("{before}{after}"));
        for slip in slips.chain(left_out) {
            if let Err(problems) = load(&slip) {
                let printed = problems.to_string();
                assert!(!printed.contains("3cre"), "{slip}\n{printed}");
                assert!(!printed.contains("bug of auditpost"), "{slip}\n{printed}");
            }
        }
    }
}

const SLIPS: [&str; 22] = [
    "[", "]", "{", "}", ":", ": ", ",", "-", "- ", " #", "&", "*", "!", "|", "'", "\"", "@", " ", "\n", "\t", "$",
    "?",
];

#[test]
fn what_a_uri_may_hide_is_in_no_debug_text() {
    for uri in ["https://siem.test/x?key=s3cret", "https://siem.test/x/${SECRET}", "https://siem.test/?${SECRET}"] {
        let text = format!("sources: [{{name: a, include: [/x]}}]\nforwarders: [{{uri: '{uri}'}}]");
        let config = load(&text).unwrap_or_else(|problems| panic!("{problems}"));
        let printed = format!("{config:?}");
        assert!(!printed.contains("s3cret") && printed.contains("https://siem.test/"), "{printed}");
    }
}
