//! The rules beyond the shape.

use super::*;

fn include(include: &str) -> String {
    format!("forwarders: [{{uri: \"https://siem.test\"}}]\nstateDir: /srv/state\nsources:\n- name: a\n  {include}\n")
}

#[test]
fn names_are_checked_and_unique() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "name: Siem",
                "4:9: forwarders[0].name: \"Siem\" must be 1 to 63 of a-z, 0-9 and `-`: it names a directory and a metric; did you mean \"siem\"?",
            ),
            (
                "name: a/../b",
                "4:9: forwarders[0].name: \"a/../b\" must be 1 to 63 of a-z, 0-9 and `-`: it names a directory and a metric; did you mean \"a----b\"?",
            ),
            (
                "name: \"\"",
                "4:9: forwarders[0].name: \"\" must be 1 to 63 of a-z, 0-9 and `-`: it names a directory and a metric",
            ),
        ],
    );
    let long = "a".repeat(64);
    assert_eq!(
        complaints(&forwarder(&format!("name: {long}"))),
        [
            "4:9: forwarders[0].name: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…\" must be 1 to 63 of a-z, 0-9 and `-`: it names a directory and a metric"
        ]
    );
    assert_eq!(
        complaints(
            "sources: [{name: a, include: [/x]}, {name: a, include: [/y]}]\nforwarders: [{uri: \"https://s.test\"}]"
        ),
        ["1:44: sources[1].name: the name \"a\" is used by sources[0].name already"]
    );
    assert_eq!(
        complaints(
            "sources: [{name: a, include: [/x]}]\nforwarders:\n- {name: s, uri: \"https://s.test\"}\n- {name: s, uri: \"https://t.test\"}\n"
        ),
        ["4:10: forwarders[1].name: the name \"s\" is used by forwarders[0].name already"]
    );
    assert_eq!(
        complaints(
            "sources: [{name: a, include: [/x]}]\nforwarders:\n- {uri: \"https://s.test/1\"}\n- {uri: \"https://s.test/2\"}\n"
        ),
        ["4:3: forwarders[1].name: is missing: the name that the uri's host would give is taken, so give it one"]
    );
    assert_eq!(
        complaints(
            "sources: [{name: a, include: [/x]}]\nforwarders:\n- {uri: \"https://s.test/1\"}\n- {name: s-test, uri: \"https://t.test/2\"}\n"
        ),
        ["3:3: forwarders[0].name: is missing: the name that the uri's host would give is taken, so give it one"],
        "a derived name gives way to a given one"
    );
}

#[test]
fn forwarders_follow_sources_that_there_are() {
    let two = |named: &str| {
        format!(
            "sources: [{{name: connect, include: [/x]}}, {{name: billing, include: [/y]}}]\n\
             forwarders: [{{uri: \"https://s.test\", sources: {named}}}]"
        )
    };
    assert_eq!(
        complaints(&two("[conect]")),
        ["2:48: forwarders[0].sources[0]: no source is called \"conect\"; did you mean \"connect\"?"]
    );
    assert_eq!(
        complaints(&two("[connect, other]")),
        ["2:57: forwarders[0].sources[1]: no source is called \"other\""]
    );
    assert_eq!(
        complaints(&two("[]")),
        ["2:47: forwarders[0].sources: is empty: nothing would ever be sent; leave it out for every source"]
    );
}

#[test]
fn empty_lists_say_what_would_not_happen() {
    assert_eq!(
        complaints("sources: []\nforwarders: []\n"),
        ["1:10: sources: is empty: nothing would be read", "2:13: forwarders: is empty: nothing would be sent"]
    );
    assert_eq!(
        complaints("sources: [{name: a, include: [/x]}]\n"),
        ["1:1: forwarders: is missing: nothing would be sent"]
    );
    assert_eq!(
        complaints("forwarders: [{uri: \"https://s.test\"}]\n"),
        ["1:1: sources: is missing: nothing would be read"]
    );
    each_has_one_problem(
        forwarder,
        &[
            (
                "enabledEvents: []",
                "4:18: forwarders[0].enabledEvents: is empty: nothing would ever be sent; leave it out for all",
            ),
            ("enabledEvents: [\"\"]", "4:19: forwarders[0].enabledEvents[0]: is empty: it must be an event type"),
        ],
    );
}

#[test]
fn the_two_names_of_forwarders_exclude_each_other() {
    each_has_one_problem(
        top,
        &[(
            "auditLogForwarders: [{uri: \"https://t.test\"}]",
            "3:21: auditLogForwarders: is another name for forwarders: only one of them can be used",
        )],
    );
}

#[test]
fn events_are_enabled_or_disabled_not_both() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "enabledEvents: [a, b]\ndisabledEvents: [c, b]",
                "5:23: forwarders[0].disabledEvents[1]: \"b\" is in enabledEvents too: leave it out of one",
            ),
            ("disabledEvents: [all]", "4:20: forwarders[0].disabledEvents[0]: \"all\" would leave nothing to send"),
        ],
    );
}

#[test]
fn what_has_no_effect_is_refused() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "compression: none\ncontentEncoding: gzip",
                "5:20: forwarders[0].contentEncoding: has no effect: the body is not compressed",
            ),
            (
                "profile: chainloop\ncontentEncoding: gzip",
                "5:20: forwarders[0].contentEncoding: has no effect: the body is not compressed",
            ),
            (
                "compression: {algorithm: none, level: best}",
                "4:41: forwarders[0].compression.level: has no effect: the algorithm is none",
            ),
            (
                "framing: single\nbatch: {maxEvents: 2}",
                "5:22: forwarders[0].batch.maxEvents: has no effect: with framing single a request is one event",
            ),
            (
                "tls: {certFile: /c.pem}",
                "4:19: forwarders[0].tls.certFile: needs keyFile: a client certificate is both",
            ),
            (
                "tls: {keyFile: /k.pem}",
                "4:18: forwarders[0].tls.keyFile: needs certFile: a client certificate is both",
            ),
            ("tls: {caFile: \"\"}", "4:17: forwarders[0].tls.caFile: is empty: it must name a file"),
        ],
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "format: cef\nframing: array",
                "5:12: forwarders[0].framing: cannot be array with format cef: CEF is no JSON; use lines or single, or json.wrap",
            ),
            ("retry: {initial: 2m, max: 1m}", "4:20: forwarders[0].retry.initial: is longer than retry.max"),
            ("retry: {initial: 2m}", "4:20: forwarders[0].retry.initial: is longer than retry.max (60s by default)"),
            ("retry: {max: 500ms}", "4:16: forwarders[0].retry.max: is shorter than retry.initial (1s by default)"),
        ],
    );
}

#[test]
fn every_schema_can_be_named() {
    use crate::config::Schema;
    for (word, schema) in [
        ("connect", Schema::Connect),
        ("infrakitchen", Schema::Infrakitchen),
        ("konnect", Schema::Konnect),
        ("chainloop", Schema::Chainloop),
        ("kubernetes", Schema::Kubernetes),
        ("vault", Schema::Vault),
    ] {
        let config = load(&source(&format!("schema: {word}"))).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.sources[0].schema, schema, "{word}");
    }
}

#[test]
fn a_source_cannot_follow_what_auditpost_writes() {
    each_has_one_problem(
        include,
        &[
            (
                "include: [/log/a, /srv/state/dead-letters/x.ndjson]",
                "5:21: sources[0].include[1]: \"/srv/state/dead-letters/x.ndjson\" would follow files in stateDir, which auditpost itself writes: name other files, or exclude these",
            ),
            (
                "include: [/srv/state/*]",
                "5:13: sources[0].include[0]: \"/srv/state/*\" would follow files in stateDir, which auditpost itself writes: name other files, or exclude these",
            ),
            (
                "include: [/srv/log/../state/x]",
                "5:13: sources[0].include[0]: \"/srv/log/../state/x\" would follow files in stateDir, which auditpost itself writes: name other files, or exclude these",
            ),
            (
                "include: [\"/srv/**/*.ndjson\"]",
                "5:13: sources[0].include[0]: \"/srv/**/*.ndjson\" would follow files in stateDir, which auditpost itself writes: name other files, or exclude these",
            ),
            (
                "include: [\"/srv/*/lock\"]",
                "5:13: sources[0].include[0]: \"/srv/*/lock\" would follow files in stateDir, which auditpost itself writes: name other files, or exclude these",
            ),
        ],
    );
    for fine in [
        "include: [/srv/*.ndjson]",
        "include: [/srv/state2/x]",
        "include: [\"/srv/**/*.log\"]",
        "include: [\"/srv/**/*.ndjson\"]\n  exclude: [\"/srv/state/**\"]",
    ] {
        assert!(load(&include(fine)).is_ok(), "{fine}");
    }
    let relative =
        "forwarders: [{uri: \"https://s.test\"}]\nsources: [{name: a, include: [auditpost-state/spool/x]}]\n";
    assert_eq!(
        complaints(relative),
        [
            "2:31: sources[0].include[0]: \"auditpost-state/spool/x\" would follow files in stateDir, which auditpost itself writes: name other files, or exclude these"
        ],
        "the default directory counts too"
    );
}

#[test]
fn globs_and_paths_are_checked() {
    let good =
        "include: [./~a, \"/x~\", \"/x/{a}b\", \"[^a]/**\", \"/{a,b/*}.log\"]\n  exclude: [\"~*\", \"{*.gz,/b/*}\"]";
    assert!(load(&include(good)).is_ok(), "{:?}", load(&include(good)));
    each_has_one_problem(
        include,
        &[
            ("include: []", "5:12: sources[0].include: is empty: no file would be followed"),
            ("include: [\"\"]", "5:13: sources[0].include[0]: is empty: it must be a path or a glob"),
            (
                "include: [\"/x/[\"]",
                "5:13: sources[0].include[0]: \"/x/[\" is no valid glob: a `[` has no `]` behind it; `[[]` stands for the character itself",
            ),
            (
                "exclude: [\"***\"]\n  include: [/x]",
                "5:13: sources[0].exclude[0]: \"***\" is no valid glob: `***` is neither `*`, any characters of a name, nor `**`, any number of directories",
            ),
            (
                "include: [/x/]",
                "5:13: sources[0].include[0]: \"/x/\" is no valid glob: it ends in `/`, which names directories, and only files are followed; `*` behind it means the files there",
            ),
            (
                "include: [\"/{a,b**}/c\"]",
                "5:13: sources[0].include[0]: \"/{a,b**}/c\" is no valid glob: `**` must stand alone between slashes, as in `/var/log/**/*.log`; within a name write `*`",
            ),
            (
                "include: [\"{/a,~root/b}\"]",
                "5:13: sources[0].include[0]: \"{/a,~root/b}\" begins with ~, which is not expanded, so it means no file in a home directory: write that directory out, or ${HOME}; for a name that begins with ~ write ./~",
            ),
            (
                "exclude: [\"~/b\"]\n  include: [/x, ./~x]",
                "5:13: sources[0].exclude[0]: \"~/b\" begins with ~, which is not expanded, so it means no file in a home directory: write that directory out, or ${HOME}; for a name that begins with ~ write ./~",
            ),
            ("exclude: []", "4:3: sources[0].include: is missing: the paths or globs of the files to follow"),
        ],
    );
}

#[test]
fn the_admin_address_has_a_port() {
    each_has_one_problem(
        top,
        &[
            (
                "admin: {listen: 9600}",
                "3:17: admin.listen: \"9600\" is no address and port; write such as 127.0.0.1:9600, or 0.0.0.0:9600 for every interface",
            ),
            (
                "admin: {listen: \":9600\"}",
                "3:17: admin.listen: \":9600\" is no address and port; write such as 127.0.0.1:9600, or 0.0.0.0:9600 for every interface",
            ),
            (
                "admin: {listen: \"localhost:9600\"}",
                "3:17: admin.listen: \"localhost:9600\" is no address and port; write such as 127.0.0.1:9600, or 0.0.0.0:9600 for every interface",
            ),
            (
                "admin: {listen: 127.0.0.1}",
                "3:17: admin.listen: \"127.0.0.1\" is no address and port; write such as 127.0.0.1:9600, or 0.0.0.0:9600 for every interface",
            ),
        ],
    );
}
