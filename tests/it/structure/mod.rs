//! The shape of the source, held by reading it: names that mean one thing, and arrows that run one way.

mod modules;
mod names;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use self::modules::Modules;

/// The folders of `src` from the bottom up: each uses only those of earlier rows. What stands in one row does not meet.
const FLOORS: [&[&str]; 9] = [
    &["accept_loop", "alarm", "body_decoder", "durable", "format", "glob", "health", "local_file", "lock", "scan"],
    &["schema"],
    &["config"],
    &["token"],
    &["log"],
    &["forwarder", "source"],
    &["admin"],
    &["app", "notify"],
    &["cli"],
];

/// Each file of `src` without its tests.
fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("\nmod tests {").next().unwrap_or_default().to_owned();
                files.insert(path.strip_prefix(&root).unwrap().to_owned(), code);
            }
        }
    }
    assert!(files.len() > 200, "the sources are found");
    files
}

#[test]
fn a_name_means_one_type() {
    let mut definitions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, code) in sources() {
        for name in names::types(&code) {
            definitions.entry(name).or_default().push(path.display().to_string());
        }
    }
    assert!(definitions.len() > 500, "the definitions are found: {}", definitions.len());
    definitions.retain(|_, places| places.len() > 1);
    assert!(definitions.is_empty(), "names that more than one type has: {definitions:#?}");
}

/// With its tests: where a file grows beyond this, it has a second noun.
const MOST_LINES: usize = 400;

#[test]
fn no_file_is_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut long = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let lines = fs::read_to_string(&path).unwrap().lines().count();
                long.extend((lines > MOST_LINES).then(|| format!("{}: {lines} lines", path.display())));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn folders_use_only_what_lies_below_them() {
    let floors: BTreeMap<&str, usize> =
        FLOORS.iter().enumerate().flat_map(|(floor, names)| names.iter().map(move |name| (*name, floor))).collect();
    let mut upward = BTreeSet::new();
    for (from, to, path) in Modules::read(&sources()).uses() {
        let (from, to) = (&from[0], &to[0]);
        let [above, below] = [from, to]
            .map(|name| *floors.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no floor: give it one")));
        if from != to && below >= above {
            upward.insert(format!("{from} -> {to} in {path}"));
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

// `source` and `forwarder` meet at `log`, and what runs knows nothing of the commands that start it.
#[test]
fn sources_and_forwarders_never_meet() {
    let arrows: BTreeSet<_> =
        Modules::read(&sources()).uses().map(|(from, to, _)| (from[0].clone(), to[0].clone())).collect();
    let has = |from: &str, to: &str| arrows.contains(&(from.to_owned(), to.to_owned()));
    assert!(has("source", "log") && has("forwarder", "log") && has("cli", "app"), "the arrows are found: {arrows:?}");
    assert!(!has("source", "forwarder") && !has("forwarder", "source") && !has("app", "cli"));
}

#[test]
fn no_circle_runs_through_folders() {
    let sources = sources();
    let folders: BTreeSet<Vec<String>> = sources
        .keys()
        .filter(|path| path.ends_with("mod.rs"))
        .filter_map(|path| Some(path.parent()?.iter().map(|part| part.to_str().unwrap().to_owned()).collect()))
        .collect();
    let modules = Modules::read(&sources);
    for parent in folders.iter().map(Vec::as_slice).chain([&[][..]]) {
        let depth = parent.len();
        let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to, _) in modules.uses() {
            let both_inside = from.starts_with(parent) && to.starts_with(parent);
            let both_folders = |path: &[String]| path.get(..=depth).is_some_and(|path| folders.contains(path));
            if both_inside && both_folders(from) && both_folders(to) && from[depth] != to[depth] {
                arrows.entry(from[depth].clone()).or_default().insert(to[depth].clone());
            }
        }
        // Takes away what uses nothing that is left; what stays goes round.
        while let Some(leaf) = arrows.iter().find(|(_, to)| to.iter().all(|to| !arrows.contains_key(to))) {
            let leaf = leaf.0.clone();
            arrows.remove(&leaf);
        }
        assert!(arrows.is_empty(), "a circle in {}: {arrows:?}", parent.join("/"));
    }
}
