//! Walks through real directories.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::atomic::AtomicBool,
    thread,
};

use super::*;

/// What is found below a directory, without the directory, and what could not be looked at.
fn walk(dir: &Path, glob: &str, limits: WalkLimits) -> (Vec<Vec<u8>>, Vec<String>) {
    let mut found = FoundPaths::default();
    let glob = PathGlob::new(&format!("{}/{glob}", dir.display())).unwrap();
    PathWalk::new(&[], limits, &AtomicU64::new(0), &mut found).along(&glob);
    let relative = |path: &Path| path.strip_prefix(dir).unwrap().as_os_str().as_bytes().to_owned();
    let mut paths: Vec<_> = found.paths.iter().map(|path| relative(path)).collect();
    paths.sort();
    let unreadable = found.unreadable.iter();
    let unreadable =
        unreadable.map(|(path, error)| format!("{}: {error}", path.strip_prefix(dir).unwrap().display()));
    (paths, unreadable.collect())
}

/// The same where everything could be looked at.
fn paths(dir: &Path, glob: &str) -> Vec<String> {
    let (paths, unreadable) = walk(dir, glob, WalkLimits::GENEROUS);
    assert_eq!(unreadable, [""; 0], "{glob}");
    paths.into_iter().map(|path| String::from_utf8_lossy(&path).into_owned()).collect()
}

fn with_files(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    dir
}

#[test]
fn names_that_are_no_utf_8_are_found_and_hide_no_others() {
    let dir = with_files(&["a.log", "b/c.log"]);
    let odd = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
    fs::write(odd(b"\xff.log"), "").unwrap();
    fs::write(odd(b"\xff.txt"), "").unwrap();
    fs::create_dir(odd(b"\xfe")).unwrap();
    fs::write(odd(b"\xfe/d.log"), "").unwrap();
    let (found, unreadable) = walk(dir.path(), "**/*.log", WalkLimits::GENEROUS);
    assert_eq!(found, [&b"a.log"[..], b"b/c.log", b"\xfe/d.log", b"\xff.log"]);
    assert_eq!(unreadable, [""; 0]);
    assert_eq!(walk(dir.path(), "?/d.log", WalkLimits::GENEROUS).0, [b"\xfe/d.log"]);
    assert_eq!(walk(dir.path(), "[^a].txt", WalkLimits::GENEROUS).0, [b"\xff.txt"]);
}

#[test]
fn what_a_glob_means_is_found() {
    let files = ["a.log", "x/a.log", "x/y/b.log", ".h/a.log", "x/.h.log", "x/c[1].log", "x/y/z/a.log", "é.log"];
    let dir = with_files(&files);
    for (glob, expected) in [
        ("*.log", &["a.log", "é.log"][..]),
        ("*/a.log", &["x/a.log"]),
        ("**/a.log", &["a.log", "x/a.log", "x/y/z/a.log"]),
        ("**/y/*.log", &["x/y/b.log"]),
        ("x/**/*.log", &["x/a.log", "x/c[1].log", "x/y/b.log", "x/y/z/a.log"]),
        ("x/**", &["x/a.log", "x/c[1].log", "x/y/b.log", "x/y/z/a.log"]),
        ("{x,x/y}/[ab].log", &["x/a.log", "x/y/b.log"]),
        ("x/[^ab]*.log", &["x/c[1].log"]),
        ("?.log", &["a.log", "é.log"]),
        (".h/*.log", &[".h/a.log"]),
        (".[!.]/*", &[".h/a.log"]),
        ("x/.*", &["x/.h.log"]),
        ("**/.h.log", &["x/.h.log"]),
        ("x/../*.log", &["x/../a.log", "x/../é.log"]),
        ("x/*/../a.log", &["x/y/../a.log"]),
        ("x/y/z", &["x/y/z"]),
        ("a.log/*", &[]),
        ("missing/**/*.log", &[]),
    ] {
        assert_eq!(paths(dir.path(), glob), expected, "{glob}");
    }
}

#[test]
fn links_to_directories_above_end_and_each_file_is_found_once() {
    let dir = with_files(&["a.log", "x/b.log", "x/y/c.log"]);
    symlink("..", dir.path().join("x/up")).unwrap();
    symlink("../..", dir.path().join("x/y/top")).unwrap();
    symlink("x", dir.path().join("alias")).unwrap();
    symlink("around", dir.path().join("around")).unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    assert_eq!(paths(dir.path(), "**/*.log"), ["a.log", "x/b.log", "x/y/c.log"]);
    assert_eq!(paths(dir.path(), "*/b.log"), ["alias/b.log", "x/b.log"]);
    assert_eq!(paths(dir.path(), "*/[b].log"), ["x/b.log"], "the name that is no link");
    fs::remove_dir_all(dir.path().join("x")).unwrap();
    let elsewhere = with_files(&["b.log"]);
    symlink(elsewhere.path(), dir.path().join("x")).unwrap();
    assert_eq!(paths(dir.path(), "**/*.log"), ["a.log", "alias/b.log"], "the first of two links");
}

#[test]
fn entries_that_come_and_go_meanwhile_are_no_trouble() {
    let dir = with_files(&["a/1.log", "z/1.log"]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let root = dir.path();
            for number in (0..8).cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                let passing = root.join(format!("m{number}/n"));
                fs::create_dir_all(&passing).unwrap();
                fs::write(passing.join("2.log"), "").unwrap();
                symlink(&passing, root.join(format!("link{number}"))).unwrap();
                fs::remove_dir_all(passing.parent().unwrap()).unwrap();
                fs::remove_file(root.join(format!("link{number}"))).unwrap();
            }
        });
        for _ in 0..300 {
            let (found, unreadable) = walk(dir.path(), "**/*.log", WalkLimits::GENEROUS);
            assert!(found.contains(&b"a/1.log".to_vec()) && found.contains(&b"z/1.log".to_vec()));
            assert_eq!(unreadable, [""; 0]);
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_walk_that_is_too_long_stops_and_tells() {
    let dir = with_files(&["a/1.log", "b/1.log", "c/1.log", "c/d/e/2.log"]);
    let limits = WalkLimits { directories: 4, entries: 8, depth: 3 };
    let looked = |glob: &str, limits: WalkLimits| {
        let (paths, told) = walk(dir.path(), glob, limits);
        (paths.len(), told.join("; "))
    };
    assert_eq!(looked("*/*.log", limits), (3, String::new()));
    let (found, told) = looked("*/*.log", WalkLimits { directories: 3, ..limits });
    assert!(found == 2 && told.starts_with("c: looking for files was given up here after 3 directories"), "{told}");
    let (found, told) = looked("*/*.log", WalkLimits { entries: 6, ..limits });
    assert!(found >= 2 && told.starts_with("c: looking for files was given up here after 6 entries"), "{told}");
    let (found, told) = looked("{a,b}/*.log", WalkLimits { entries: 1, ..limits });
    assert!(found == 1 && told.starts_with("b: "), "what braces stand for shares the limits: {told}");
    let (found, told) = looked("**/*.log", WalkLimits { depth: 2, directories: 9, ..limits });
    assert!(found == 3 && told.starts_with("c/d/e: it is more than 2 directories deep"), "{told}");
}

#[test]
fn a_path_that_is_too_long_is_told_and_a_name_that_is_is_not_there() {
    let dir = with_files(&["a/1.log"]);
    let name = "n".repeat(250);
    let mut deep = rustix::fs::open(dir.path(), OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
    for _ in 0..20 {
        rustix::fs::mkdirat(&deep, &name, Mode::RWXU).unwrap();
        deep = openat(&deep, &name, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
    }
    let (found, told) = walk(dir.path(), "**/*.log", WalkLimits::GENEROUS);
    assert_eq!((found.len(), told.len()), (1, 1), "{told:?}");
    assert_eq!(paths(dir.path(), &format!("*/{}", "m".repeat(300))), [""; 0]);
}

#[test]
fn a_directory_without_rights_is_told_and_hides_no_other() {
    if rustix::process::geteuid().is_root() {
        #[expect(clippy::print_stderr, reason = "whoever runs the tests should know")]
        {
            eprintln!("a_directory_without_rights_is_told_and_hides_no_other: SKIPPED, root may read everything");
        }
        return;
    }
    let dir = with_files(&["a/1.log", "b/1.log", "c/1.log"]);
    let chmod = |mode| fs::set_permissions(dir.path().join("b"), fs::Permissions::from_mode(mode)).unwrap();
    for (mode, glob, told) in [(0o000, "**/*.log", 1), (0o000, "*/1.log", 1), (0o711, "*/1.log", 0)] {
        chmod(mode);
        let (found, unreadable) = walk(dir.path(), glob, WalkLimits::GENEROUS);
        chmod(0o755);
        assert_eq!((found.len(), unreadable.len()), (3 - told, told), "{glob}: {unreadable:?}");
    }
}
