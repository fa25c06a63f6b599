//! Bad configurations and what is said of them, good ones and what becomes of them.

mod cef;
mod example;
mod good;
mod http;
mod intake;
mod keys;
mod pushed;
mod reference;
mod request;
mod rules;
mod secrets;
mod sense;
mod types;
mod yaml;

use super::{Config, Forwarder, Problems, load_text};

const NAME: &str = "config.yaml";

/// The variables that tests may use.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "SIEM_TOKEN" => "tok-s3cret",
        "COUNT" => "7",
        "WORDS" => "not a s3cret number",
        "EMPTY" => "",
        "SECRET" => "s3cret",
        "TRUE" => "true",
        _ => return None,
    };
    Some(value.to_owned())
}

fn load(text: &str) -> Result<Config, Problems> {
    load_text(NAME, text, &env)
}

/// A configuration whose line 3 on is `more`.
fn top(more: &str) -> String {
    format!("sources: [{{name: a, include: [/log/a]}}]\nforwarders: [{{uri: \"https://siem.test/x\"}}]\n{more}\n")
}

/// A configuration whose one source has `more`, from line 5 on.
fn source(more: &str) -> String {
    let more = more.replace('\n', "\n  ");
    format!("forwarders: [{{uri: \"https://siem.test/x\"}}]\nsources:\n- name: a\n  include: [/log/a]\n  {more}\n")
}

/// A configuration whose one forwarder has `more`, from line 4 on.
fn forwarder(more: &str) -> String {
    let more = more.replace('\n', "\n  ");
    format!("sources: [{{name: a, include: [/log/a]}}]\nforwarders:\n- uri: https://siem.test/x\n  {more}\n")
}

/// The only forwarder of a good configuration.
#[track_caller]
fn only(text: &str) -> Forwarder {
    let config = load(text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    let [forwarder] = config.forwarders.as_slice() else { panic!("not one forwarder") };
    forwarder.clone()
}

/// Every problem, without the file's name and the quoted line: `line:column: path: what; did you mean "x"?`.
#[track_caller]
fn complaints(text: &str) -> Vec<String> {
    let problems = load(text).expect_err(text);
    problems
        .iter()
        .map(|problem| {
            let mut problem = problem.clone();
            problem.quote = None;
            problem.to_string().trim_start_matches(NAME).trim_start_matches(':').to_owned()
        })
        .collect()
}

/// Each case has exactly this one problem.
#[track_caller]
fn each_has_one_problem(wrap: fn(&str) -> String, cases: &[(&str, &str)]) {
    for (more, complaint) in cases {
        assert_eq!(complaints(&wrap(more)), [*complaint], "of {more:?}");
    }
}
