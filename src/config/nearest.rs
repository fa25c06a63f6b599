//! The word that was probably meant: `maxAeg` → `maxAge`.

/// A word longer than this gets no suggestion: the cost of a comparison grows with its length.
const LONGEST: usize = 64;

/// A word that another begins with says something from this many letters on.
const SHORTEST_START: usize = 3;

/// Words that only begin alike must share so many letters, and two thirds of the shorter one.
const SHORTEST_STEM: usize = 4;

/// The candidate nearest to `word`, where one is near: at most a third of its letters differ, or else one begins with
/// the other (`warning`, `warn`) or they share their stem (`retries`, `retry`). Case, `_` and `-` do not count, so that `max_age` finds `maxAge`. Of equally near
/// ones the first wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters = folded(candidate);
        let distance = distance(&word, &letters);
        let near = distance <= word.len().max(letters.len()) / 3;
        let shorter = word.len().min(letters.len());
        let stem = word.iter().zip(&letters).take_while(|(a, b)| a == b).count();
        let begins =
            (shorter >= SHORTEST_START && stem == shorter) || (stem >= SHORTEST_STEM && stem * 3 >= shorter * 2);
        let rank = if near { distance } else { LONGEST + distance };
        if (near || begins) && best.is_none_or(|(least, _)| rank < least) {
            best = Some((rank, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn folded(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut rows = [vec![0; width], (0..width).collect(), vec![0; width]];
    for i in 1..=a.len() {
        let [before, above, row] = &mut rows;
        row[0] = i;
        for j in 1..width {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(a: &str, b: &str) -> usize {
        distance(&folded(a), &folded(b))
    }

    #[test]
    fn distances_are_those_of_the_textbook() {
        assert_eq!(letters("kitten", "sitting"), 3);
        assert_eq!(letters("", "abc"), 3);
        assert_eq!(letters("abc", ""), 3);
        assert_eq!(letters("same", "same"), 0);
    }

    #[test]
    fn neighbours_that_changed_places_count_once() {
        assert_eq!(letters("maxAeg", "maxAge"), 1);
        assert_eq!(letters("ab", "ba"), 1);
    }

    #[test]
    fn the_nearest_word_wins_and_a_far_one_is_not_named() {
        let words = ["maxEvents", "maxBytes", "maxAge"];
        assert_eq!(nearest("maxEvnets", words), Some("maxEvents"));
        assert_eq!(nearest("max_age", words), Some("maxAge"));
        assert_eq!(nearest("MAXAGE", words), Some("maxAge"));
        assert_eq!(nearest("url", ["uri"]), Some("uri"));
        assert_eq!(nearest("linger", words), None);
        assert_eq!(nearest("warning", ["error", "warn", "info"]), Some("warn"));
        assert_eq!(nearest("retries", ["timeout", "retry"]), Some("retry"));
        assert_eq!(nearest("timestamp", ["timeout"]), None);
        assert_eq!(nearest("max", words), Some("maxAge"), "of those that begin so, the nearest");
        assert_eq!(nearest("ma", words), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest(&"a".repeat(10_000), words), None);
    }
}
