//! Which module uses which, by the paths that begin with `crate`, `super` or `self`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

type ModulePath = Vec<String>;

pub(super) struct Modules {
    uses: Vec<(ModulePath, ModulePath, String)>,
}

impl Modules {
    pub(super) fn read(sources: &BTreeMap<PathBuf, String>) -> Self {
        let known: BTreeSet<ModulePath> = sources.keys().map(|path| module(path)).collect();
        let mut uses = Vec::new();
        for (path, code) in sources {
            let from = module(path);
            for mut to in paths(code).filter_map(|path| absolute(&from, &path)) {
                while !to.is_empty() && !known.contains(&to) {
                    to.pop();
                }
                if !from.is_empty() && !to.is_empty() && to != from {
                    uses.push((from.clone(), to, path.display().to_string()));
                }
            }
        }
        Self { uses }
    }

    /// From, to, and the file that says so.
    pub(super) fn uses(&self) -> impl Iterator<Item = (&ModulePath, &ModulePath, &str)> {
        self.uses.iter().map(|(from, to, path)| (from, to, path.as_str()))
    }
}

fn module(path: &Path) -> ModulePath {
    let mut parts: ModulePath =
        path.with_extension("").iter().map(|part| part.to_str().unwrap_or_default().to_owned()).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// A path of a `use` or an expression, from the crate's root.
fn absolute(from: &ModulePath, path: &str) -> Option<ModulePath> {
    let mut parts = path.split("::").map(str::to_owned).peekable();
    let mut base = match parts.next()?.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => from[..from.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    while parts.next_if(|part| part == "super").is_some() {
        base.pop();
    }
    base.extend(parts);
    Some(base)
}

/// Every path of a file, those of a `use` tree one by one.
fn paths(code: &str) -> impl Iterator<Item = String> {
    let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut all = Vec::new();
    let starts = ["crate::", "super::", "self::"];
    let mut rest = code.as_str();
    while let Some(at) = starts.iter().filter_map(|start| rest.find(start)).min() {
        let begins = !rest[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':');
        let end = at + tree_len(&rest[at..]);
        if begins {
            expand("", &rest[at..end], &mut all);
        }
        rest = &rest[end.max(at + 1)..];
    }
    all.into_iter()
}

/// The length of a path at the beginning of a text, with the braces that it ends in.
fn tree_len(text: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if depth > 0 || text[..at].ends_with("::") => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' if depth > 1 => depth -= 1,
            _ if depth > 0 || letter.is_alphanumeric() || letter == '_' || letter == ':' => {}
            _ => return at,
        }
    }
    text.len()
}

fn expand(prefix: &str, tree: &str, all: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, inner)) = tree.split_once('{') else {
        let path = tree.split_whitespace().next().unwrap_or_default();
        all.push(format!("{prefix}{path}"));
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    expand(&prefix, &inner[start..at], all);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

#[test]
fn a_use_tree_is_its_paths() {
    let code = "use crate::{a::{self, B}, c as d};\n// crate::not\nfn f() { super::g::<u8>(); x.crate_::y() }";
    let found: Vec<String> = paths(code).collect();
    assert_eq!(found, ["crate::a::self", "crate::a::B", "crate::c", "super::g::"]);
    assert_eq!(absolute(&vec!["m".into(), "n".into()], "super::super::k::Z").unwrap(), ["k", "Z"]);
}
