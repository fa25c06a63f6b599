//! The file itself: syntax, encodings, what YAML can do and a configuration cannot, bombs.

use std::time::Instant;

use super::*;

#[test]
fn a_syntax_error_is_one_problem_at_its_place() {
    for (text, complaint) in [
        (
            "sources:\n\t- name: a\n",
            "2:2: this is no valid YAML: tabs disallowed within this context (block indentation)",
        ),
        ("sources: [a\nforwarders: b\n", "2:11: this is no valid YAML: illegal placement of ':' indicator"),
        ("sources: {a: ]\n", "1:10: this is no valid YAML: mismatched bracket '{' closed by ']'"),
        ("sources: \"a\n", "2:1: this is no valid YAML: invalid indentation in multiline quoted scalar"),
        ("a: b: c\n", "1:5: this is no valid YAML: mapping values are not allowed in this context"),
        ("%YAML 1.2\n---\na: b\n", "1:1: this is no valid YAML: YAML directives are disallowed"),
        ("a: b\n---\nc: d\n", "2:1: a second document begins here; a configuration is one"),
        (
            "headers: {X: ${SECRET}}\n",
            "1:15: this is no valid YAML: while parsing a flow mapping, did not find expected ',' or '}'; inside { } and [ ] put ${NAME} in quotes: \"${NAME}\"",
        ),
        (
            "a:\n  b: 1\n c: 2\n",
            "3:2: this is no valid YAML: while parsing a block mapping, did not find expected key",
        ),
        ("a: @b\n", "1:4: this is no valid YAML: unexpected character: `@'"),
    ] {
        assert_eq!(complaints(text), [complaint], "of {text:?}");
    }
}

#[test]
fn what_yaml_can_do_and_a_configuration_cannot_is_reported() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "timeout: &t 5s",
                "4:12: forwarders[0].timeout: anchors are not taken here; put a text that begins with `&` in quotes",
            ),
            (
                "token: &s3cret",
                "4:10: forwarders[0].token: anchors are not taken here; put a text that begins with `&` in quotes",
            ),
            (
                "token: *s3cret",
                "4:10: forwarders[0].token: aliases are not taken here: write the value out; put a text that begins with `*` in quotes",
            ),
            (
                "token: !s3cret x",
                "4:10: forwarders[0].token: tags are not taken here; put a text that begins with `!` in quotes",
            ),
            (
                "inFlight: !!int 1",
                "4:13: forwarders[0].inFlight: tags are not taken here; put a text that begins with `!` in quotes",
            ),
            ("<<: {timeout: 5s}", "4:3: forwarders[0][\"<<\"]: merge keys are not taken here: write the values out"),
            (
                "? [timeout]\n: 5s",
                "4:5: forwarders[0]: a key must be a text; put a value that begins with `{` or `[` in quotes",
            ),
            (
                "batch: &b\n  maxEvents: 1",
                "4:10: forwarders[0].batch: anchors are not taken here; put a text that begins with `&` in quotes",
            ),
            (
                "token: {{ s3cret }}",
                "4:11: forwarders[0].token: a key must be a text; put a value that begins with `{` or `[` in quotes",
            ),
        ],
    );
    let shared = forwarder("batch: &b {maxEvents: 1}\nretry: *b");
    assert_eq!(
        complaints(&shared),
        [
            "4:10: forwarders[0].batch: anchors are not taken here; put a text that begins with `&` in quotes",
            "5:10: forwarders[0].retry: aliases are not taken here: write the value out; put a text that begins with `*` in quotes"
        ]
    );
}

#[test]
fn an_empty_file_says_what_it_needs() {
    for text in ["", "\n\n", "# nothing yet\n", "---\n", "~\n", "\u{feff}"] {
        let [complaint] = complaints(text).try_into().expect("one problem");
        assert!(complaint.starts_with("1:1: "), "{text:?}: {complaint}");
    }
}

#[test]
fn byte_order_marks_and_windows_line_ends_are_taken() {
    let text = format!("\u{feff}{}", forwarder("timeout: 7s").replace('\n', "\r\n"));
    assert_eq!(only(&text).timeout.as_secs(), 7);
    let text = format!("\u{feff}{}", top("admn: 1").replace('\n', "\r\n"));
    assert_eq!(complaints(&text), ["3:1: admn: unknown key; did you mean \"admin\"?"]);
    let printed = load("\u{feff}stat: 1\r\n").expect_err("it is bad").to_string();
    assert!(!printed.contains(['\r', '\u{feff}']), "{printed:?}");
}

#[test]
fn columns_count_characters_and_the_caret_stands_below() {
    let problems = load(&forwarder("headers: {\"é\": a, x: b, x: c}")).expect_err("it is bad").to_string();
    let lines: Vec<&str> = problems.lines().collect();
    let caret = lines[2].chars().position(|c| c == '^').expect("a caret");
    assert_eq!(lines[1].chars().nth(caret), Some('"'), "{problems}");
}

#[test]
fn words_that_yaml_1_1_took_for_booleans_are_texts() {
    let config = load(&source("exclude: [no, yes, on, 0x1F, 1e3, 012]")).expect("it is good");
    let crate::config::SourceKind::File(file) = &config.sources[0].kind else { panic!("no file") };
    assert_eq!(file.exclude, ["no", "yes", "on", "0x1F", "1e3", "012"]);
}

#[test]
fn nesting_is_bounded() {
    for text in [
        format!("sources: {}", "[".repeat(100_000)),
        format!("sources: {}", "{a: ".repeat(100_000)),
        (0..1_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
        "- ".repeat(100_000),
        format!("{}x", "? ".repeat(100_000)),
    ] {
        let started = Instant::now();
        assert_eq!(complaints(&text).len(), 1);
        assert!(started.elapsed().as_secs() < 5, "{}", &text[..40]);
    }
}

#[test]
fn a_bomb_of_aliases_goes_off_as_a_few_problems() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        let aliases = vec![format!("*a{below}"); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let bomb = top(&format!("{bomb}stateDir: *a29"));
    let started = Instant::now();
    let problems = load(&bomb).expect_err("it is bad");
    assert!(started.elapsed().as_secs() < 5);
    assert_eq!(problems.count(), 31, "one for each key");
}

#[test]
fn a_file_is_bounded() {
    let large = format!("# {}\n", "x".repeat(10 << 20));
    let printed = load(&large).expect_err("it is bad").to_string();
    assert!(printed.starts_with("config.yaml: is larger than 1 MiB"), "{printed}");
}

#[test]
fn many_problems_are_counted_and_the_first_hundred_printed() {
    let keys: String = (0..10_000).map(|n| format!("zzzzz{n}: 1\n")).collect();
    let started = Instant::now();
    let problems = load(&top(&keys)).expect_err("it is bad");
    let printed = problems.to_string();
    assert!(started.elapsed().as_secs() < 20);
    assert_eq!((problems.count(), problems.iter().count()), (10_000, 100));
    assert!(printed.len() < 100_000, "{} bytes", printed.len());
    assert!(printed.ends_with("… and 9900 more\n10000 problems in config.yaml; nothing was started"));
}

#[test]
fn one_long_line_is_cut_and_does_not_take_long() {
    let keys: Vec<_> = (0..10_000).map(|n| format!("zzzzz{n}: 1")).collect();
    let started = Instant::now();
    let printed = load(&format!("{{{}}}", keys.join(", "))).expect_err("it is bad").to_string();
    assert!(started.elapsed().as_secs() < 20);
    assert!(printed.lines().all(|line| line.chars().count() < 300));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = dir.path().join("gone.yaml");
    let printed = crate::config::load(&missing, &env).expect_err("it is not there").to_string();
    assert!(printed.starts_with(&format!("{}: cannot be read: ", missing.display())), "{printed}");
    assert!(crate::config::load(dir.path(), &env).is_err(), "a directory is no file");

    let path = dir.path().join("latin1.yaml");
    std::fs::write(&path, b"a: b\nc: caf\xe9\n").expect("it can be written");
    let printed = crate::config::load(&path, &env).expect_err("it is no UTF-8").to_string();
    assert!(printed.starts_with(&format!("{}:2:7: is not UTF-8", path.display())), "{printed}");

    std::fs::write(&path, vec![b'\xff'; 10 << 20]).expect("it can be written");
    let printed = crate::config::load(&path, &env).expect_err("it is too large").to_string();
    assert!(printed.contains("is larger than 1 MiB"), "{printed}");

    std::fs::write(&path, forwarder("timeout: 3s")).expect("it can be written");
    let config = crate::config::load(&path, &env).expect("it is good");
    assert_eq!(config.forwarders[0].timeout.as_secs(), 3);
}
