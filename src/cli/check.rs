//! `auditpost check`: is the configuration valid, and what would run?
//!
//! It looks for the files that sources match now and whether the files that forwarders need can be read; it creates,
//! sends and contacts nothing. Secrets are not printed, nor is what a uri's query holds.

mod describe;

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use describe::describe;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    exit::Exit,
    printable::{printable, printable_path},
};
use crate::{
    config::{self, Auth, Config, Forwarder, SourceKind, Token},
    forwarder::deliver::WebhookClient,
    source::paths::SourcePaths,
};

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The configuration
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The configuration
    #[arg(short, long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Look no environment variable up: something stands in for those without a default, as in a pipeline without secrets
    #[arg(long)]
    no_environment: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckReport {
    file: String,
    valid: bool,
    problems: Vec<CheckProblem>,
    /// What is valid, and yet worth a look.
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CheckProblem {
    /// Both from 1; absent where the file itself cannot be read, or what is wrong was found later.
    line: Option<usize>,
    column: Option<usize>,
    text: String,
}

/// Prints what would run to standard output; or all problems to standard error.
pub fn run(args: &CheckArgs) -> Exit {
    let path = args.file.as_ref().unwrap_or(&args.config);
    let (report, text) = look(path, args.no_environment);
    let exit = if report.valid { Exit::Ok } else { Exit::Config };
    if args.json {
        return print_all(&format!("{:#}\n", serde_json::json!(report)), exit);
    }
    if report.valid {
        return print_all(&text, exit);
    }
    // Nobody is left to be told where this fails.
    let _ = writeln!(io::stderr(), "{text}");
    exit
}

/// Checks a file; gives the text for a person beside what is found.
fn look(path: &Path, no_environment: bool) -> (CheckReport, String) {
    let file = printable_path(path);
    let invalid = |problems, text| {
        let report = CheckReport { file: file.clone(), valid: false, problems, notes: Vec::new() };
        (report, text)
    };
    let loaded = if no_environment {
        config::load_to_read(path, &|_| None)
    } else {
        config::load(path, &config::environment).map(|config| (config, BTreeSet::new()))
    };
    let (config, unset) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => {
            let listed = problems.iter().map(|problem| {
                let (line, column) = problem.place().unzip();
                CheckProblem { line, column, text: format!("{problem:#}") }
            });
            return invalid(listed.collect(), problems.to_string());
        }
    };
    // What `run` would find only when it makes its clients.
    for forwarder in &config.forwarders {
        if let Err(error) = WebhookClient::new(forwarder) {
            let text = format!("forwarder {}: {error}", forwarder.name);
            return invalid(vec![CheckProblem { line: None, column: None, text: text.clone() }], text);
        }
    }
    let mut notes = notes(&config);
    notes.extend(
        unset.iter().map(|name| format!("the variable {name} was not looked up: something stands in for it")),
    );
    let mut text = format!("{file} is valid; this would run:\n\n");
    print(&config, &notes, &mut text).expect("a String takes whatever it is given");
    (CheckReport { file, valid: true, problems: Vec::new(), notes }, text)
}

fn print_all(text: &str, exit: Exit) -> Exit {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Storage,
        _ => exit,
    }
}

fn print(config: &Config, notes: &[String], out: &mut String) -> fmt::Result {
    describe(config, out)?;
    if !notes.is_empty() {
        out.write_str("\nnotes\n")?;
    }
    notes.iter().try_for_each(|note| writeln!(out, "  - {}", printable(note)))
}

/// What is valid, and yet worth a look.
fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    for source in &config.sources {
        if !config.forwarders.iter().any(|forwarder| forwarder.sources.contains(&source.name)) {
            notes.push(format!("source {}: no forwarder follows it, so its events go nowhere", source.name));
        }
        if let SourceKind::File(file) = &source.kind {
            let doubts = SourcePaths::new(file).doubts();
            notes
                .extend(doubts.iter().map(|doubt| format!("source {}: probably not meant so: {doubt}", source.name)));
        }
        if let Some(address) = open_address(&source.kind) {
            notes.push(format!(
                "source {}: whoever reaches {address} can send events: listen on 127.0.0.1, or ask for client certificates",
                source.name
            ));
        }
    }
    for forwarder in &config.forwarders {
        let name = &forwarder.name;
        for (key, path) in needed_files(forwarder) {
            if let Err(error) = can_read(path) {
                notes.push(format!("forwarder {name}: {key} {} cannot be read now: {error}", path.display()));
            }
        }
        if forwarder.tls.insecure_skip_verify {
            notes.push(format!("forwarder {name}: insecureSkipVerify trusts whoever answers; for a trial only"));
        }
    }
    notes
}

/// Where anybody may send events from another machine.
fn open_address(kind: &SourceKind) -> Option<SocketAddr> {
    let address = match kind {
        SourceKind::Tcp(tcp) if tcp.tls.as_ref().is_none_or(|tls| tls.client_ca_file.is_none()) => tcp.listen,
        SourceKind::Udp(udp) => udp.listen,
        _ => return None,
    };
    (!address.ip().is_loopback()).then_some(address)
}

fn can_read(path: &Path) -> io::Result<()> {
    // Opening a named pipe would wait for its writer.
    if fs::metadata(path)?.is_file() {
        File::open(path).map(drop)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

fn needed_files(forwarder: &Forwarder) -> Vec<(&'static str, &Path)> {
    let mut files = Vec::new();
    let secret = match &forwarder.auth {
        Auth::None => None,
        Auth::Token { token, .. } => Some(("tokenFile", token)),
        Auth::Basic { password, .. } => Some(("auth.basic.passwordFile", password)),
        Auth::OAuth2(client) => Some(("auth.oauth2.clientSecretFile", &client.client_secret)),
    };
    if let Some((key, Token::File(path))) = secret {
        files.push((key, path.as_path()));
    }
    if let Some(path) = &forwarder.tls.ca_file {
        files.push(("tls.caFile", path));
    }
    if let Some(client) = &forwarder.tls.client {
        files.push(("tls.certFile", &client.cert_file));
        files.push(("tls.keyFile", &client.key_file));
    }
    files
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use super::*;

    fn described(yaml: &str) -> String {
        let env = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        let config = config::load_text("config.yaml", yaml, &env).unwrap();
        let mut text = String::new();
        print(&config, &notes(&config), &mut text).unwrap();
        text
    }

    #[test]
    fn what_will_run_is_said_without_secrets() {
        let text = described(
            "sources: [{name: app, include: [/nowhere/a.log], exclude: ['*.gz']}]\n\
             forwarders:\n\
             - uri: https://siem.test:8443/in?key=s3cret&s3cret\n  token: ${TOKEN}\n  headers: {X-Key: s3cret}\n  \
               disabledEvents: [ping]\n  responses: {404: retry}\n",
        );
        assert!(!text.contains("s3cret"), "{text}");
        for words in [
            "POST https://siem.test:8443/in?key=***&***\n",
            "token      from the configuration (not shown)",
            "headers    x-key (values not shown)",
            "match now  no file\n",
            "except     *.gz\n",
            "except     ping\n",
            "body       json, a line each, application/x-ndjson, gzip (default) as gzip\n",
            "batch      at most 1000 events, 1MB, 1s\n",
            "in flight  1 batch\n",
            "answer     404 means retry\n",
            "admin      off\n",
        ] {
            assert!(text.contains(words), "{words:?} is missing:\n{text}");
        }
        assert!(!text.contains("notes"), "{text}");
    }

    #[test]
    fn files_that_match_now_are_named_and_excluded_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.log", "b.log.gz", "c.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("d.log")).unwrap();
        let at = dir.path().display();
        let source = |exclude: &str| {
            let text =
                format!("sources: [{{name: a, include: ['{at}/*.log*', '{at}/a.log'], exclude: [{exclude}]}}]");
            described(&format!("{text}\nforwarders: [{{uri: 'https://s.test'}}]"))
        };
        assert!(source("'*.gz'").contains("match now  2 files\n"), "{}", source("'*.gz'"));
        assert!(source("").contains("match now  3 files\n"));
        let by_path = source(&format!("'{at}/b*'"));
        assert!(by_path.contains("match now  1 file\n") && by_path.contains(&format!("{at}/a.log\n")), "{by_path}");
    }

    #[test]
    fn names_of_files_cannot_forge_what_is_printed() {
        let dir = tempfile::tempdir().unwrap();
        for name in [&b"a\xff.log"[..], b"b\x1b[2J\n  - forged.log", b"\xfe.txt"] {
            std::fs::write(dir.path().join(OsStr::from_bytes(name)), "").unwrap();
        }
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        let at = dir.path().display();
        let text = described(&format!(
            "sources: [{{name: a, include: ['{at}/*.log', '{at}/loop/x']}}]\nforwarders: [{{uri: 'https://s.test'}}]"
        ));
        assert!(text.contains("match now  2 files\n") && text.contains(&format!("{at}/a\\xff.log\n")), "{text}");
        assert!(text.contains("b\\u{1b}[2J\\n  - forged.log\n") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains("not seen   ") && text.contains(&format!("{at}/loop/x: ")), "{text}");
    }

    #[test]
    fn notes_tell_of_what_is_valid_and_yet_wrong() {
        let text = described(
            "sources: [{name: a, include: [/x, '/log/{1..9}.log']}, {name: idle, include: [/y]}]\n\
             forwarders: [{uri: 'https://s.test', sources: [a], tokenFile: /nowhere/token,\n  \
               tls: {caFile: /nowhere/ca, insecureSkipVerify: true}}]\n",
        );
        for note in [
            "source idle: no forwarder follows it",
            "tokenFile /nowhere/token cannot be read now",
            "tls.caFile /nowhere/ca cannot be read now",
            "insecureSkipVerify trusts whoever answers",
            "source a: probably not meant so: /log/{1..9}.log: a brace means itself",
        ] {
            assert!(text.contains(note), "{note:?} is missing:\n{text}");
        }
    }

    #[test]
    fn the_exit_status_tells_valid_from_invalid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        assert!(!look(&path, false).0.valid, "there is no file");
        std::fs::write(&path, "sources: [{name: a, include: [/x]}]\nforwarders: [{uri: 'https://s.test'}]\n")
            .unwrap();
        assert!(look(&path, false).0.valid);
        let made: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(made.len(), 1, "nothing is created");
    }
}
