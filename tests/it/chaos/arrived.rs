//! What a receiver has, each batch counted once.

use std::collections::{BTreeSet, HashMap};

use crate::{events, receiver::Receiver};

/// What arrived at a receiver since it was cleared.
pub(super) struct Arrived {
    /// How often, in batches that are not the same.
    pub(super) events: HashMap<u64, u32>,
    /// Batches that came again under their id.
    pub(super) repeated: u64,
}

pub(super) fn arrived(receiver: &Receiver) -> Arrived {
    let mut ids = BTreeSet::new();
    let mut arrived = Arrived { events: HashMap::new(), repeated: 0 };
    for delivery in receiver.deliveries().iter().filter(|delivery| delivery.accepted()) {
        if !ids.insert(delivery.id().to_owned()) {
            arrived.repeated += 1;
            continue;
        }
        for n in events::numbers(&delivery.lines()) {
            *arrived.events.entry(n).or_default() += 1;
        }
    }
    arrived
}
