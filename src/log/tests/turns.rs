//! Files of which one is busy, and readers that are slow.

use super::*;

#[test]
fn a_busy_file_keeps_no_other_from_its_turn_whatever_their_names_begin_with() {
    for name in ["a.log.json", "a.log-other", "b.log"] {
        let mut t = Bench::new(|name| !name.is_empty());
        t.append("a.log", &numbers(0..100_000));
        t.append(name, "");
        t.start().scan();
        let mut others = 0;
        for n in 0..26 {
            t.append("a.log", &numbers(n..n + 500));
            if n % 2 == 0 {
                t.append(name, &format!("other {}\n", n / 2));
            }
            t.scan();
            others += t.read_at_most(100).iter().filter(|line| line.starts_with("other")).count();
            assert!(others as u32 >= n / 2, "{name}: {others} after {n} turns");
        }
    }
}
