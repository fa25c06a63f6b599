//! Completions and manual pages, as shells and readers of manuals take them.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use super::printed;
use crate::tools::{has, skipped};

#[test]
fn bash_completes_commands_flags_and_their_words() {
    let script = printed(&["completions", "bash"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("auditpost.bash");
    fs::write(&file, script).unwrap();
    // What bash would offer for the words of a line, the last of them being written.
    let offered = |words: &str| {
        let ask = format!(
            "source {file:?}; complete -p auditpost >&2 || exit 1; COMP_WORDS=({words}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _auditpost auditpost \"${{COMP_WORDS[COMP_CWORD]}}\" \
             \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(offered("auditpost dead")), ["dead-letters"]);
    assert_eq!(lines(offered("auditpost cursors f")), ["forget"]);
    assert_eq!(lines(offered("auditpost run --co")), ["--config"]);
    assert!(offered("auditpost completions ''").contains("fish"));
}

#[test]
fn other_shells_read_their_completions() {
    let mut read = 0;
    for shell in ["zsh", "fish"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("auditpost") && script.contains("dead-letters"), "{shell}");
        if !has(shell) {
            skipped("other_shells_read_their_completions", &format!("there is no {shell}"));
            continue;
        }
        let mut child = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{shell}");
        read += 1;
    }
    let there = ["zsh", "fish"].iter().filter(|shell| has(shell)).count();
    assert_eq!(read, there);
}

#[test]
fn every_manual_page_renders_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    printed(&["man", "--out", directory.path().to_str().unwrap()]);
    let mut pages: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let names: Vec<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    for page in ["auditpost.1", "auditpost-run.1", "auditpost-dead-letters-replay.1", "auditpost-man.1"] {
        assert!(names.contains(&page), "{page} is not in {names:?}");
    }
    assert_eq!(
        fs::read_to_string(&pages[names.iter().position(|name| *name == "auditpost.1").unwrap()]).unwrap(),
        printed(&["man"])
    );
    if !has("groff") {
        return skipped("every_manual_page_renders_without_a_warning", "there is no groff");
    }
    for page in &pages {
        let output =
            Command::new("groff").args(["-Kutf8", "-man", "-Tutf8", "-ww", "-z"]).arg(page).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.is_empty(), "{}: {told}", page.display());
    }
    let main =
        Command::new("groff").args(["-man", "-Tascii", "-P-c"]).arg(directory.path().join("auditpost.1")).output();
    let main = String::from_utf8(main.unwrap().stdout).unwrap();
    assert!(main.contains("invalid") && main.contains("78"), "the exit statuses stand in it: {main}");
}

#[test]
fn manual_pages_that_cannot_be_written_are_told_of() {
    let output = Command::new(env!("CARGO_BIN_EXE_auditpost")).args(["man", "--out", "/nowhere/at/all"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(73));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("/nowhere/at/all") && told.lines().count() == 1, "{told}");
}
