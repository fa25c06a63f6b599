//! The runbook has a section for each alarm and each alert, and none for what there is not.

use std::fs;

use super::{page, root};
use crate::tools::skipped;

/// The sections `### name` between two headings of the page, each with its text.
fn sections(from: &str, to: &str) -> Vec<(String, String)> {
    let page = page("runbook.md");
    let part = page.split(&format!("\n## {from}\n")).nth(1).unwrap();
    let part = part.split(&format!("\n## {to}")).next().unwrap();
    let sections = part.split("\n### ").skip(1).map(|section| section.split_once('\n').unwrap());
    sections.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn names(sections: &[(String, String)]) -> Vec<&str> {
    sections.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn every_kind_of_alarm_has_a_section() {
    let source = fs::read_to_string(root().join("src/alarm/mod.rs")).unwrap();
    let table = source.split("pub fn name(self)").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let mut kinds: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
    assert!(kinds.len() >= 8, "{kinds:?}");
    let sections = sections("Alarms", "Alerts");
    let mut told = names(&sections);
    kinds.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, kinds);
}

#[test]
fn every_section_says_what_it_means_where_to_look_and_what_to_do() {
    let all = [sections("Alarms", "Alerts"), sections("Alerts", "(the end)")].concat();
    assert!(all.len() > 25, "{}", all.len());
    for (name, text) in all {
        for part in ["- **Means:** ", "- **Look:** ", "- **Do:** "] {
            let told = text.split(part).nth(1).unwrap_or_default().split("\n- **").next().unwrap_or_default();
            assert!(told.trim().len() > 4, "{name}: {part}");
        }
    }
}

#[test]
fn every_alert_has_a_section_and_leads_to_it() {
    let Ok(rules) = fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")) else {
        return skipped("every_alert_has_a_section_and_leads_to_it", "there is no deploy/prometheus/alerts.yaml");
    };
    let after = |start: &'static str| {
        let lines = rules.lines().map(str::trim);
        lines.filter_map(move |line| line.strip_prefix(start)).map(str::trim).collect::<Vec<_>>()
    };
    let (alerts, leads) = (after("- alert:"), after("runbook:"));
    let sections = sections("Alerts", "(the end)");
    assert_eq!(names(&sections), alerts);
    let expected: Vec<_> = alerts.iter().map(|alert| format!("docs/runbook.md#{}", alert.to_lowercase())).collect();
    assert_eq!(leads, expected);
}
