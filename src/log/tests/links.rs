//! Symbolic links that lead out of the directory, and are exchanged.

use std::{
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use super::*;
use crate::{config::FollowLinks, log::LinkPolicy};

impl Bench {
    /// A scan of these names, of which only files below the directory may be read.
    fn scan_within(&mut self, names: &[&str]) {
        let paths = names.iter().map(|name| self.path(name)).collect();
        let logs = self.path("");
        let links = LinkPolicy::new(FollowLinks::Within, [logs.as_path()].into_iter());
        self.tail.as_mut().unwrap().scan(FoundPaths { paths, links, ..FoundPaths::default() });
    }

    /// A file beside the directory.
    fn outside(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Puts a link in the place of what is there, at once.
    fn link(&self, target: &Path, name: &str) {
        symlink(target, self.path("new")).unwrap();
        self.rename("new", name);
    }
}

#[test]
fn a_file_that_is_exchanged_for_a_link_is_read_to_its_end_and_the_target_is_not() {
    let mut t = plain();
    let secret = t.outside("secret", &numbers(100..200));
    t.append("a.log", &numbers(0..3));
    t.start().scan_within(&["a.log"]);
    assert_eq!(t.read(), lines(0..3));
    let mut old = t.append("a.log", "");
    t.link(&secret, "a.log");
    for _ in 0..3 {
        old.write_all(numbers(3..4).as_bytes()).unwrap();
        t.scan_within(&["a.log"]);
        assert_eq!(t.read(), lines(3..4));
    }
    assert_eq!((t.gap_bytes, t.facts().files_matched), (0, 0));
    assert!(t.tail.as_ref().unwrap().unread().unwrap().contains("a link leads to "));
}

#[test]
fn a_link_beside_a_file_is_neither_a_generation_nor_a_copy_of_it() {
    let mut t = plain();
    let text = numbers(0..100);
    t.append("a.log", &text);
    t.start().scan_within(&["a.log"]);
    assert_eq!(t.read_at_most(50), lines(0..50));
    let secret = t.outside("secret", &(text + &numbers(200..300)));
    t.link(&secret, "a.log.1");
    t.link(&secret, "a.log.2");
    fs::remove_file(t.path("a.log")).unwrap();
    t.kill();
    t.append("a.log", &numbers(100..102));
    t.start();
    t.scan_within(&["a.log"]);
    t.scan_within(&["a.log"]);
    assert_eq!(t.scan_and_read_within(), lines(100..102));
    assert!(t.gap_bytes > 0, "what was not read is in no file that may be read");
}

#[test]
fn a_file_that_is_not_allowed_any_more_is_left_as_a_gap_and_its_neighbours_are_read() {
    for released in [false, true] {
        let mut t = all();
        if released {
            t.seal_at_once();
        }
        let target = t.outside("target", &numbers(0..10));
        t.link(&target, "a.log.x");
        t.append("a.log", &numbers(50..52));
        t.start();
        if released {
            assert_eq!(t.scan_and_read().len(), 12);
            fs::rename(t.path("a.log.x"), t.path("gone")).unwrap();
            (0..4).for_each(|_| t.scan());
            fs::rename(t.path("gone"), t.path("a.log.x")).unwrap();
        } else {
            t.scan();
            assert_eq!(t.read_at_most(4).len(), 4);
        }
        t.kill();
        fs::OpenOptions::new().append(true).open(&target).unwrap().write_all(numbers(10..12).as_bytes()).unwrap();
        t.start();
        let read: Vec<String> = (0..4).flat_map(|_| t.scan_and_read_within_of(&["a.log", "a.log.x"])).collect();
        assert!(read.iter().all(|line| lines(50..52).contains(line)), "{read:?}");
        assert_eq!(t.gap_bytes > 0, !released);
    }
}

#[test]
fn whatever_is_exchanged_at_whatever_moment_nothing_outside_is_read() {
    let mut t = plain();
    fs::create_dir(t.dir.path().join("other")).unwrap();
    fs::create_dir(t.path("d")).unwrap();
    for name in ["secret", "other/b.log"] {
        t.outside(name, &numbers(100..110));
    }
    let over = AtomicBool::new(false);
    let (logs, other) = (t.path(""), t.dir.path().to_owned());
    let mut read = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let exchange = |name: &str, make: &dyn Fn(&Path)| {
                let (new, place) = (logs.join("new"), logs.join(name));
                make(&new);
                if fs::rename(&new, &place).is_err() {
                    // A directory is not replaced at once.
                    fs::rename(&place, logs.join("old")).unwrap();
                    fs::rename(&new, &place).unwrap();
                    fs::remove_dir_all(logs.join("old")).or_else(|_| fs::remove_file(logs.join("old"))).unwrap();
                }
            };
            while !over.load(Ordering::Relaxed) {
                exchange("a.log", &|new| fs::write(new, numbers(0..2)).unwrap());
                exchange("a.log", &|new| symlink(other.join("secret"), new).unwrap());
                exchange("d", &|new| {
                    fs::create_dir(new).unwrap();
                    fs::write(new.join("b.log"), numbers(0..2)).unwrap();
                });
                exchange("d", &|new| symlink(other.join("other"), new).unwrap());
            }
        });
        t.start();
        let end = Instant::now() + Duration::from_secs(30);
        let mut scans = 0;
        while (scans < 400 || read.is_empty()) && Instant::now() < end {
            t.scan_within(&["a.log", "d/b.log"]);
            read.extend(t.read());
            scans += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(!read.is_empty() && read.iter().all(|line| lines(0..2).contains(line)), "{read:?}");
}

impl Bench {
    fn scan_and_read_within(&mut self) -> Vec<String> {
        self.scan_and_read_within_of(&["a.log"])
    }

    fn scan_and_read_within_of(&mut self, names: &[&str]) -> Vec<String> {
        self.scan_within(names);
        let mut lines = self.read();
        self.scan_within(names);
        lines.extend(self.read());
        lines
    }
}
