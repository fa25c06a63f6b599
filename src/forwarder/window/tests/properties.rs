//! Random logs, answers, write failures, crashes and orders, and what must hold whatever comes.

use proptest::prelude::*;

use super::{
    play::{Step, What, rules, steps},
    *,
};
use crate::config::Framing;

fn run(steps: &[Step], in_flight: usize, framing: Framing, seed: u64) -> World {
    let mut world = World::new(|config| {
        config.in_flight = in_flight;
        config.framing = framing;
    });
    world.rules = rules(seed);
    world.history = Some(Vec::new());
    world.on(WindowEvent::Scanned);
    steps.iter().for_each(|step| world.step(step));
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("AUDITPOST_MODEL_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(150)
    ))]

    #[test]
    fn whatever_comes_each_line_is_settled_once_and_nothing_is_lost(
        steps in steps(),
        in_flight in 1usize..4,
        framing in prop::sample::select(vec![Framing::Lines, Framing::Array, Framing::Single]),
        seed in any::<u64>(),
    ) {
        let mut world = run(&steps, in_flight, framing, seed);
        world.heal();
        world.account();
        let cuts_power = |step: &Step| matches!(step, Step::Crash { lost } if *lost > 0);
        if !steps.iter().any(|step| cuts_power(step) || matches!(step, Step::Reload { .. })) {
            prop_assert!(world.repeated_letters.is_empty(), "twice: {:?}", world.repeated_letters);
        }
    }

    #[test]
    fn without_a_crash_nothing_is_sent_twice(steps in steps(), in_flight in 1usize..4, seed in any::<u64>()) {
        let steps: Vec<Step> = steps
            .into_iter()
            .filter(|step| !matches!(step, Step::Crash { .. } | Step::Reload { .. } | Step::Drain))
            .collect();
        let mut world = run(&steps, in_flight, Framing::Lines, seed);
        world.heal();
        let all = world.taken.len();
        let once: BTreeSet<_> = world.taken.drain(..).collect();
        prop_assert_eq!(once.len(), all);
    }

    #[test]
    fn with_one_request_on_the_way_events_arrive_in_the_order_of_their_log(steps in steps(), seed in any::<u64>()) {
        // Fates event by event are the receiver's own order.
        let steps: Vec<Step> = steps
            .into_iter()
            .filter(|step| !matches!(step, Step::Crash { .. } | Step::Reload { .. } | Step::Drain))
            .filter(|step| !matches!(step, Step::Answer { what: What::Items { .. }, .. }))
            .collect();
        let mut world = run(&steps, 1, Framing::Lines, seed);
        world.heal();
        for source in SOURCES.map(|name| name.chars().next().unwrap()) {
            let of_it: Vec<u64> =
                world.taken.iter().filter(|(name, _)| *name == source).map(|(_, event)| *event).collect();
            prop_assert!(of_it.is_sorted_by(|a, b| a < b), "{of_it:?}");
        }
    }

    #[test]
    fn the_same_events_at_the_same_times_give_the_same_effects(steps in steps(), seed in any::<u64>()) {
        let history = || {
            let mut world = run(&steps, 2, Framing::Lines, seed);
            world.heal();
            world.history
        };
        prop_assert_eq!(history(), history());
    }
}
