//! The files of `docs/getting-started-kubernetes.md`, as kubectl and auditpost read them.

use std::{fs, os::unix::fs::symlink, process::Command};

use super::{fenced, page, root};
use crate::tools::{has, skipped};

/// Each file that the page shows, under the name in its first line.
fn files() -> Vec<(String, String)> {
    let blocks = fenced(&page("getting-started-kubernetes.md"), "yaml").into_iter();
    blocks.map(|block| (block.lines().next().unwrap().trim_start_matches("# ").to_owned(), block)).collect()
}

#[test]
fn the_shown_kustomization_renders_with_the_shown_configuration() {
    let test = "the_shown_kustomization_renders_with_the_shown_configuration";
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("try")).unwrap();
    let mut written = 0;
    for (name, text) in files().iter().filter(|(name, _)| name.starts_with("try/")) {
        fs::write(dir.path().join(name), text).unwrap();
        written += 1;
    }
    assert_eq!(written, 3);
    if !has("kubectl") || !root().join("deploy/kubernetes").exists() {
        return skipped(test, "it needs kubectl and deploy/kubernetes");
    }
    symlink(root().join("deploy"), dir.path().join("deploy")).unwrap();
    let output = Command::new("kubectl").args(["kustomize", "try"]).current_dir(dir.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let rendered = String::from_utf8(output.stdout).unwrap();
    assert_eq!(rendered.matches("kind: ConfigMap").count(), 1, "{rendered}");
    assert!(rendered.contains("http://receiver:8088/ingest"), "ours replaced the example's: {rendered}");
    assert_eq!(rendered.matches("\nkind: Deployment").count(), 2, "{rendered}");
}
