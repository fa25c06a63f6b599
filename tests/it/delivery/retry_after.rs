//! `Retry-After`: waited for where it is sane, and never for longer than an hour.

use std::time::{Duration, SystemTime};

use super::{LOG, accepted, fan, forwarding, numbers};
use crate::receiver::{Receiver, Reply};

/// Well above our own pauses in these tests.
const ASKED: Duration = Duration::from_secs(2);

/// The IMF-fixdate of a moment that many whole seconds from now.
fn http_date(from_now: i64) -> String {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap();
    let then = now.checked_add(jiff::SignedDuration::from_secs(from_now)).unwrap();
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// G34, G35, G36. The rest of their forms is tested where they are parsed.
#[test]
fn a_receiver_that_names_a_time_is_left_alone_until_then() {
    // Own pauses are at most 10 ms, so whatever is longer was asked for.
    let cases = [
        ("seconds", (503, vec!["2".to_owned()], ASKED..5 * ASKED)),
        // A date has whole seconds: up to one of them has passed.
        ("date", (429, vec![http_date(4)], ASKED..5 * ASKED)),
        ("longest", (429, vec!["0".to_owned(), "2".to_owned()], ASKED..5 * ASKED)),
        ("garbage", (429, vec!["soon".to_owned()], Duration::ZERO..ASKED)),
    ];
    let script = |(status, values, _): &(u16, Vec<String>, _), receiver: &Receiver| {
        let answer = values.iter().fold(Reply::status(*status), |reply, value| reply.header("retry-after", value));
        receiver.script([answer]);
    };
    let (sidecar, receivers) = fan(cases, |_| "retry: {initial: 5ms, max: 10ms, probe: 10ms}".to_owned(), script);
    sidecar.write_lines(LOG, 0..3);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, (_, _, expected), receiver) in &receivers {
        sidecar.wait_settled(name, 3);
        assert_eq!(accepted(receiver), numbers(0..3));
        let deliveries = receiver.deliveries();
        assert_eq!(deliveries.len(), 2, "{name}");
        let pause = deliveries[1].at - deliveries[0].at;
        assert!(expected.contains(&pause), "{name}: {pause:?} is not within {expected:?}");
    }
    drop(books);
}

/// G36, G44.
#[test]
fn no_receiver_can_make_us_wait_longer_than_an_hour_and_a_stop_does_not_wait() {
    let receiver = Receiver::start();
    receiver.script([Reply::status(429).header("retry-after", "1000000000")]);
    let sidecar = forwarding(&receiver, "");
    sidecar.write_lines(LOG, 0..3);
    let mut sidecar = sidecar.start();
    // An hour, and a tenth for jitter.
    sidecar.wait_for_log("next attempt in 1 h ");
    assert!(sidecar.times_said("delivery failed") == 1, "{}", sidecar.stderr());
    // One immediate attempt for whatever waits.
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert_eq!(accepted(&receiver), numbers(0..3));
}
