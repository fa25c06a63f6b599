//! What is written for people and editors: the schema, completions, manual pages, `docs/` and the README.

mod commands;
mod json;
mod kubernetes;
mod pages;
mod receiver;
mod runbook;
mod schema;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The sources' directory.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a command prints to standard output, of one that must end well.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_auditpost")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The pages that people read, each with its path.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut paths: Vec<PathBuf> =
        docs.chain(["README.md", "ARCHITECTURE.md"].map(|name| root().join(name))).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The text of a page of `docs`.
fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The blocks of a page between fences of this language.
fn fenced(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(found) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if found == language {
            blocks.push(block.join("\n") + "\n");
        }
    }
    blocks
}

/// A page without its blocks.
fn prose(text: &str) -> String {
    let mut within = false;
    let mut outside = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            within = !within;
        } else if !within {
            outside.push(line);
        }
    }
    outside.join("\n")
}
