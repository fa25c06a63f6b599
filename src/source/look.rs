//! One look of a file source at its files: the walk, then the scan of what it found.
//!
//! What always holds: the `Tail` comes back. It has the only descriptors of files that were deleted before they were
//! delivered, so a panic, of the walk or of the tail itself, must not take it along.
//!
//! It is right to go on with a tail whose scan panicked. A scan publishes segments and writes the catalog at its end, so
//! readers and the disk have what the last whole scan left, and the next one matches every file with the known lives anew.
//! What was half done can cost a number or a repetition; letting the tail go would cost the events.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::log::tail::{FoundPaths, Tail};

/// Does `scan` with what `find` finds, and gives the tail back with how many paths there were, or what the one that
/// panicked said.
pub fn look(
    mut tail: Tail,
    find: impl FnOnce() -> FoundPaths,
    scan: impl FnOnce(&mut Tail, FoundPaths),
) -> (Tail, Result<usize, String>) {
    let looked = caught(find).and_then(|found| {
        let matched = found.paths.len();
        caught(|| scan(&mut tail, found))?;
        Ok(matched)
    });
    (tail, looked)
}

/// What the work gives, or what it said when it panicked.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{
        collections::{BTreeMap, HashMap},
        fs,
        path::PathBuf,
    };

    use super::*;
    use crate::{
        config::FileSource,
        log::{ItemKind, Log, ReadEnd, Reader, Take},
    };

    fn open(state: &std::path::Path) -> (Tail, Log) {
        let source = FileSource::of_tests(vec![]);
        let (tail, log) = Tail::open("t", source, state, state, &HashMap::new(), 100).unwrap();
        log.release_gate.add_follower("f");
        (tail, log)
    }

    fn lines(reader: &mut Reader) -> usize {
        let mut lines = 0;
        let end = reader.read(usize::MAX, &mut |item| {
            lines += usize::from(matches!(item.kind, ItemKind::Line(_)));
            Take::More
        });
        assert!(matches!(end, ReadEnd::CaughtUp), "{end:?}");
        lines
    }

    fn found(paths: &[PathBuf]) -> FoundPaths {
        FoundPaths { paths: paths.to_vec(), ..FoundPaths::default() }
    }

    #[test]
    fn a_deleted_file_is_read_to_its_end_over_a_panic_of_the_walk_and_of_the_scan() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        fs::create_dir(&state).unwrap();
        let (tail, log) = open(&state);
        let [old, new] = ["old.log", "new.log"].map(|name| dir.path().join(name));
        fs::write(&old, "1\n2\n3\n").unwrap();
        let (tail, looked) = look(tail, || found(std::slice::from_ref(&old)), Tail::scan);
        assert_eq!(looked, Ok(1));
        fs::remove_file(&old).unwrap();
        fs::write(&new, "4\n").unwrap();
        let (tail, looked) = look(tail, || panic!("no {}", "walk"), Tail::scan);
        assert_eq!(looked, Err("no walk".to_owned()));
        let half = |tail: &mut Tail, found: FoundPaths| {
            tail.scan(found);
            panic!("no scan");
        };
        let (tail, looked) = look(tail, || found(std::slice::from_ref(&new)), half);
        assert_eq!(looked, Err("no scan".to_owned()));
        let (tail, looked) = look(tail, || found(std::slice::from_ref(&new)), Tail::scan);
        assert_eq!(looked, Ok(1));
        let mut reader = Reader::new(log, 1024, BTreeMap::new());
        assert_eq!(lines(&mut reader), 4, "those of the deleted file, too");
        drop(tail);
    }
}
