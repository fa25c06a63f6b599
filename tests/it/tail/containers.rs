//! What container runtimes write, as the kubelet keeps it: parts, streams, rotation, links.

use std::{collections::BTreeSet, fs, io::Write};

use flate2::{Compression, write::GzEncoder};

use super::{QUICK_FORWARDER, QUICK_SOURCE, assert_each_batch_once, assert_exactly, without_repeats};
use crate::{
    events::{self, event, numbers},
    receiver::{Delivery, PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
};

const LOG: &str = "pods/shop_cart-0_0bd94a6e/app/0.log";
const OTHER: &str = "pods/shop_till-7d4b_1ce8/app/0.log";

/// A line as a runtime writes it.
fn line(stream: &str, tag: &str, message: &str) -> String {
    format!("2026-11-22T04:00:00.123456789+00:00 {stream} {tag} {message}\n")
}

fn out(n: u64) -> String {
    line("stdout", "F", &event(n))
}

fn outs(range: std::ops::Range<u64>) -> String {
    range.map(out).collect()
}

/// An event in three parts, with what the application says on its other stream between them.
fn in_parts(n: u64) -> String {
    let event = event(n);
    let (first, rest) = event.split_at(7);
    let (second, third) = rest.split_at(100);
    [
        line("stdout", "P", first),
        line("stderr", "F", "between"),
        line("stdout", "P", second),
        line("stderr", "P", "betw"),
        line("stderr", "F", "een"),
        line("stdout", "F", third),
    ]
    .concat()
}

fn following(receiver: &Receiver, include: &str, more: &str) -> Sidecar {
    Sidecar::new()
        .top("drainTimeout: 5s")
        .file_source_with("app", include, &format!("{QUICK_SOURCE}\nformat: cri\n{more}"))
        .forwarder("siem", &receiver.url(), QUICK_FORWARDER)
}

fn filtered_by(sidecar: &Sidecar, rule: &str) -> u64 {
    sidecar.status()["forwarders"][0]["sources"][0]["filteredBy"][rule].as_u64().unwrap_or(0)
}

#[test]
fn what_containers_write_arrives_whole_under_the_names_of_their_pods() {
    let receiver = Receiver::start();
    let mut sidecar = following(&receiver, "pods/*/*/*.log", "onlyJson: true");
    sidecar.append(LOG, [in_parts(0), line("stdout", "F", "listening"), out(1), line("stderr", "F", "{}")].concat());
    sidecar.append(LOG, [line("stdout", "F", "{torn"), "no such line\n".to_owned(), in_parts(2)].concat());
    sidecar.append(OTHER, outs(100..110));
    sidecar.start_again();
    receiver.wait_for_lines(13);

    let of = |delivery: &Delivery, name: &str| {
        delivery.header(&format!("auditpost-kubernetes-{name}")).unwrap_or("none").to_owned()
    };
    for delivery in receiver.deliveries() {
        let names = ["namespace", "pod", "pod-uid", "container"].map(|name| of(&delivery, name));
        let numbers = numbers(&delivery.lines());
        let expected = if numbers[0] < 100 {
            ["shop", "cart-0", "0bd94a6e", "app"]
        } else {
            ["shop", "till-7d4b", "1ce8", "app"]
        };
        assert_eq!(names, expected);
        assert!(numbers.iter().all(|n| (*n < 100) == (numbers[0] < 100)), "of one container: {numbers:?}");
    }
    let metrics = sidecar.wait_for_metrics("all lines", |metrics| metrics.events("siem", "dead_lettered") == 2);
    metrics.assert_books_balance();
    assert_eq!((filtered_by(&sidecar, "stream"), filtered_by(&sidecar, "onlyJson")), (7, 1));
    let letters = sidecar.dead_letters("siem");
    let letters: Vec<_> = letters.iter().map(|letter| (&letter["reason"], &letter["payload"])).collect();
    assert_eq!(
        letters[0],
        (&"invalid_json".into(), &"{torn".into()),
        "what begins as an event is none of the others"
    );
    assert_eq!(letters[1], (&"invalid_cri".into(), &"no such line".into()));
    let arrived: BTreeSet<u64> = numbers(&receiver.accepted_lines()).into_iter().collect();
    assert_eq!(arrived, (0..3).chain(100..110).collect());
    sidecar.stop_drained();
}

#[test]
fn each_of_many_containers_has_its_turn() {
    let receiver = Receiver::start();
    let mut sidecar = following(&receiver, "pods/*/*/*.log", "");
    let log = |pod: u64| format!("pods/shop_pod-{pod}_u/app/0.log");
    for pod in 0..8 {
        sidecar.append(&log(pod), outs(pod * 10_000..pod * 10_000 + 2_000));
    }
    sidecar.start_again();
    receiver.wait_for_lines(16_000);
    let firsts: Vec<u64> =
        receiver.deliveries().iter().map(|delivery| numbers(&delivery.lines())[0] / 10_000).collect();
    let early: BTreeSet<&u64> = firsts[..firsts.len() / 2].iter().collect();
    assert_eq!(early.len(), 8, "{firsts:?}");
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(receiver.accepted_lines().len(), 16_000);
}

#[test]
fn a_part_is_kept_over_a_kill_until_its_end_is_written() {
    let receiver = Receiver::start();
    let mut sidecar = following(&receiver, "pods/*/*/*.log", "stream: stdout");
    let parts = in_parts(1);
    let (begun, rest) = parts.split_at(parts.find("stderr P").unwrap() - 36);
    sidecar.append(LOG, format!("{}{begun}", out(0)));
    sidecar.start_again();
    receiver.wait_for_lines(1);
    sidecar.kill();
    sidecar.append(LOG, rest);
    sidecar.start_again();
    sidecar.append(LOG, out(2));
    assert_each_batch_once(&mut sidecar, &receiver, 0..3);
    assert!(sidecar.dead_letters("siem").is_empty());
}

#[test]
fn a_batch_of_records_in_parts_is_the_same_after_a_kill() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = following(&receiver, "pods/*/*/*.log", "");
    sidecar.append(LOG, (0..20).map(in_parts).collect::<String>());
    sidecar.start_again();
    receiver.wait_for_requests(1);
    sidecar.kill();
    receiver.always(Reply::status(200));
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..20);
    let deliveries = receiver.deliveries();
    let (first, last) = (&deliveries[0], deliveries.last().unwrap());
    assert_eq!((first.id(), first.lines()), (last.id(), last.lines()), "under its id, with its bytes");
    assert_eq!(last.header("auditpost-kubernetes-pod"), Some("cart-0"));
}

#[test]
fn of_refused_and_long_records_the_message_is_in_the_dead_letters() {
    let receiver = Receiver::start();
    receiver.rule(|delivery| {
        let refused = delivery.lines().iter().any(|line| line.contains("refuse me"));
        Reply::status(if refused { 422 } else { 200 })
    });
    let mut sidecar = following(&receiver, "pods/*/*/*.log", "maxEventBytes: 20KiB");
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(300_000));
    let parts = |message: &str| {
        let (most, last) = message.split_at(message.len() - 10);
        let chunks = most.as_bytes().chunks(16 * 1024).map(|chunk| std::str::from_utf8(chunk).unwrap());
        chunks.map(|chunk| line("stdout", "P", chunk) + &line("stderr", "F", "x")).collect::<String>()
            + &line("stdout", "F", last)
    };
    let refused = "{\"text\":\"refuse me\",\"more\":1234567890}";
    let held = format!("{{\"id\":2,\"text\":\"{}\"}}", "y".repeat(19_000));
    sidecar.append(LOG, [out(0), parts(&long), parts(refused), parts(&held), out(3)].concat());
    sidecar.start_again();
    receiver.wait_until("the last event", PATIENCE, |deliveries| {
        deliveries.iter().any(|delivery| delivery.accepted() && delivery.lines().contains(&event(3)))
    });
    sidecar.wait_for_metrics("two letters", |metrics| metrics.events("siem", "dead_lettered") == 2);
    sidecar.assert_books_balance();
    let accepted = receiver.accepted_lines();
    assert_eq!(accepted.len(), 4, "a stub stands for the long one");
    assert!(accepted.contains(&held) && accepted.iter().any(|line| line.contains(&long.len().to_string())));
    let letters = sidecar.dead_letters("siem");
    let letter = |reason: &str| letters.iter().find(|letter| letter["reason"] == reason).unwrap();
    assert_eq!(letter("refused")["payload"], refused);
    assert_eq!(letter("line_too_long")["bytes"], long.len());
    let (status, shown, _) = sidecar.command(&[
        "dead-letters",
        "-c",
        sidecar.config_path().to_str().unwrap(),
        "show",
        letter("line_too_long")["event_id"].as_str().unwrap(),
    ]);
    assert!((status, shown.as_str()) == (0, long.as_str()), "{status}: {} bytes", shown.len());
    sidecar.stop_drained();
}

/// What the kubelet does with a log that is large: it compresses all that were rotated before, then renames the log,
/// and the runtime makes a new one.
fn kubelet_rotates(sidecar: &Sidecar, stamp: u32) {
    let log = sidecar.path(LOG);
    let rotated = |path: &std::path::Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("0.log.") && !name.ends_with(".gz")
    };
    let entries = fs::read_dir(log.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.filter(|path| rotated(path)).collect::<Vec<_>>() {
        let name = path.display().to_string();
        let mut packed = GzEncoder::new(fs::File::create(format!("{name}.tmp")).unwrap(), Compression::default());
        packed.write_all(&fs::read(&path).unwrap()).unwrap();
        packed.finish().unwrap();
        fs::rename(format!("{name}.tmp"), format!("{name}.gz")).unwrap();
        fs::remove_file(&path).unwrap();
    }
    fs::rename(&log, log.with_file_name(format!("0.log.20261122-{stamp:06}"))).unwrap();
    fs::write(&log, "").unwrap();
}

#[test]
fn what_the_kubelet_rotates_and_compresses_is_read_to_its_end_once() {
    for stopped in [false, true] {
        let receiver = Receiver::start();
        let mut sidecar = following(&receiver, "pods/*/*/*.log", "");
        sidecar.append(LOG, (0..5).map(in_parts).collect::<String>());
        sidecar.start_again();
        receiver.wait_for_lines(5);
        if stopped {
            sidecar.kill();
        }
        for turn in 1..5u32 {
            let first = u64::from(turn) * 100;
            sidecar.append(LOG, outs(first..first + 50));
            kubelet_rotates(&sidecar, turn);
            sidecar.append(LOG, (first + 50..first + 60).map(in_parts).collect::<String>());
            if !stopped {
                // It rotates no two times within ten seconds.
                receiver.wait_for_lines(5 + 60 * turn as usize);
            }
        }
        if stopped {
            sidecar.start_again();
        }
        let expected: Vec<u64> = (0..5).chain((1..5).flat_map(|turn| turn * 100..turn * 100 + 60)).collect();
        receiver.wait_until("all events", PATIENCE, |deliveries| without_repeats(deliveries).len() >= expected.len());
        assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
        assert_eq!(numbers(&without_repeats(&receiver.deliveries())), expected, "stopped: {stopped}");
        assert!(sidecar.dead_letters("siem").is_empty());
    }
}

#[test]
fn the_links_to_the_logs_are_followed_and_name_their_pods_too() {
    let receiver = Receiver::start();
    let mut sidecar = following(&receiver, "containers/*.log", "followLinks: always");
    sidecar.append(LOG, in_parts(0));
    let target = sidecar.path(LOG);
    fs::create_dir(sidecar.path("containers")).unwrap();
    sidecar.symlink(target.to_str().unwrap(), "containers/cart-0_shop_app-0123abcd.log");
    sidecar.start_again();
    receiver.wait_for_lines(1);
    kubelet_rotates(&sidecar, 1);
    sidecar.append(&format!("{LOG}.20261122-000001"), out(1));
    sidecar.append(LOG, out(2));
    assert_exactly(&mut sidecar, &receiver, 0..3);
    let delivery = &receiver.deliveries()[0];
    assert_eq!(delivery.header("auditpost-kubernetes-pod"), Some("cart-0"));
    assert_eq!(delivery.header("auditpost-kubernetes-pod-uid"), None, "the link does not tell");
}

#[test]
fn explain_puts_parts_together_and_shows_the_names_of_the_pod() {
    let receiver = Receiver::start();
    let sidecar = following(&receiver, "pods/*/*/*.log", "onlyJson: true");
    sidecar.append(LOG, [in_parts(7), line("stdout", "F", "listening"), "what\n".to_owned()].concat());
    sidecar.write_config();
    let (config, log) = (sidecar.config_path(), sidecar.path(LOG));
    let (status, printed, said) =
        sidecar.command(&["explain", "-c", config.to_str().unwrap(), log.to_str().unwrap()]);
    assert_eq!((status, said.as_str()), (0, ""));
    for expected in [
        "filtered: the source reads the container's other stream",
        "filtered: onlyJson: it is no JSON object",
        "dead letter: invalid_cri: it is no line of the CRI format",
        "auditpost-kubernetes-namespace: shop\n",
        "auditpost-kubernetes-container: app\n",
        &format!("\n{}\n", events::event(7)),
    ] {
        assert!(printed.contains(expected), "{expected}\n{printed}");
    }
}
