//! Links lead somewhere, commands are accepted, and configurations that are shown are valid.

use std::{collections::BTreeSet, fs, path::Path};

use auditpost::{cli::command::CommandLine, internals::load_text};
use clap::{Parser, error::ErrorKind};

use super::{fenced, pages, prose};

/// The targets of a page's links.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page's headings, made as where Markdown is shown.
fn anchors(text: &str) -> BTreeSet<String> {
    let text = prose(text);
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let mut followed = 0;
    for (path, text) in pages() {
        for link in links(&text) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let found = anchors(&fs::read_to_string(&target).unwrap());
                assert!(found.contains(anchor), "{}: {link} is none of {found:?}", path.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 60, "{followed}");
}

#[test]
fn every_page_of_the_documentation_can_be_reached_from_the_readme() {
    let pages = pages();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (_, readme) = pages.iter().find(|(path, _)| path.ends_with("README.md")).unwrap();
    let linked: BTreeSet<_> = links(readme).iter().map(|link| root.join(link.split('#').next().unwrap())).collect();
    let missing: Vec<_> =
        pages.iter().map(|(path, _)| path).filter(|path| path.starts_with(root.join("docs"))).collect();
    let missing: Vec<_> = missing.into_iter().filter(|path| !linked.contains(*path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The calls of auditpost in a line of a shell, as words.
fn calls(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    let parts = line.split(['|', '<', '>', '(', ')', ';', '&']).map(|part| part.trim().trim_start_matches("sudo "));
    let parts = parts.map(|part| {
        part.split_once("-- /auditpost").map_or_else(|| part.to_owned(), |(_, rest)| format!("auditpost{rest}"))
    });
    let words =
        parts.map(|part| part.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect());
    words
        .filter(|words: &Vec<String>| words.first().is_some_and(|word| word == "auditpost") && words.len() > 1)
        .collect()
}

#[test]
fn every_command_of_the_pages_is_accepted() {
    let mut accepted = 0;
    for (path, text) in pages() {
        for line in fenced(&text, "sh").iter().flat_map(|block| block.lines()) {
            for words in calls(line) {
                if let Err(refused) = CommandLine::try_parse_from(&words) {
                    let is_help = matches!(refused.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
                    assert!(is_help, "{}: {words:?}: {refused}", path.display());
                }
                accepted += 1;
            }
        }
        // In a sentence, a call may leave out what it needs.
        let prose = prose(&text);
        for quoted in prose.split('`').skip(1).step_by(2).filter(|quoted| !quoted.contains("COMMAND")) {
            for words in calls(quoted) {
                let Err(refused) = CommandLine::try_parse_from(&words) else { continue };
                let incomplete = matches!(
                    refused.kind(),
                    ErrorKind::DisplayHelp
                        | ErrorKind::MissingRequiredArgument
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                );
                assert!(
                    incomplete || words.contains(&"SHELL".to_owned()),
                    "{}: {words:?}: {refused}",
                    path.display()
                );
            }
        }
    }
    assert!(accepted > 15, "{accepted}");
}

#[test]
fn every_configuration_that_is_shown_is_valid() {
    const SOURCES: &str = "sources: [{name: app, include: [/log/app]}]\n";
    const FORWARDERS: &str = "forwarders: [{uri: \"https://siem.test/x\"}]\n";
    let mut shown = 0;
    for (path, text) in pages() {
        for block in fenced(&text, "yaml").iter().filter(|block| !block.contains("apiVersion:")) {
            let keys = block.replace('\n', "\n  ");
            let forwarder = format!("{SOURCES}forwarders:\n- uri: https://siem.test/x\n  {keys}\n");
            let tries =
                [block.clone(), format!("{block}{FORWARDERS}"), format!("{forwarder}  framing: array\n"), forwarder];
            let problems: Vec<_> =
                tries.iter().map_while(|text| load_text("it", text, &|_| Some("value".to_owned())).err()).collect();
            assert!(problems.len() < tries.len(), "{}:\n{block}\n{}", path.display(), problems[3]);
            shown += 1;
        }
    }
    assert!(shown >= 6, "{shown}");
}
