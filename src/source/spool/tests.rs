//! Records through the task, into the spool.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use tokio::task::JoinHandle;

use super::*;
use crate::{
    health::ProcessHealth,
    log::{ItemKind, Reader, Take, spool::Limits},
};

struct Running {
    log: Log,
    intake: Intake,
    alarms: Arc<Alarms>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn start(dir: &Path, total: u64) -> Running {
    let limits = Limits { segment: 1000, total };
    let catalog = dir.join("sources/app/catalog");
    let spool = Spool::open("app", &dir.join("spool/app"), &catalog, limits, &HashMap::new()).unwrap();
    let log = spool.log().clone();
    log.release_gate.add_follower("siem");
    let alarms = Arc::new(Alarms::default());
    let pulse = Arc::new(ProcessHealth::default()).pulse("source app");
    let (task, intake) =
        SpoolTask::new(spool, SyncPolicy::Always, alarms.clone(), Arc::new(SourceStats::new("app")), pulse);
    let stop = CancellationToken::new();
    let task = tokio::spawn(task.run(stop.clone()));
    Running { log, intake, alarms, stop, task }
}

async fn wait_for_alarms(alarms: &Alarms, kinds: &[AlarmKind]) {
    let limit = Instant::now() + Duration::from_secs(10);
    while alarms.raised().iter().map(|alarm| alarm.kind).ne(kinds.iter().copied()) {
        assert!(Instant::now() < limit, "{:?} are raised, not {kinds:?}", alarms.raised());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn read(log: &Log) -> Vec<String> {
    let mut lines = Vec::new();
    Reader::new(log.clone(), 10_000, BTreeMap::new()).read(usize::MAX, &mut |item| {
        if let ItemKind::Line(bytes) = item.kind {
            lines.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
        Take::More
    });
    lines
}

#[tokio::test]
async fn every_record_that_was_taken_is_in_the_spool_and_a_stop_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), 1_000_000);
    let mut senders = Vec::new();
    for n in 0..500 {
        let intake = running.intake.clone();
        senders.push(tokio::spawn(async move {
            let taken = intake.put(format!("{{\"n\":{n}}}\n").into()).await;
            (n, taken)
        }));
    }
    let (first, rest) = senders.split_at_mut(250);
    let mut taken = Vec::new();
    for sender in first {
        let (n, outcome) = sender.await.unwrap();
        outcome.unwrap();
        taken.push(n);
    }
    running.stop.cancel();
    for sender in rest {
        let (n, outcome) = sender.await.unwrap();
        match outcome {
            Ok(()) => taken.push(n),
            Err(refused) => assert_eq!(refused, Refused::Stopping),
        }
    }
    running.task.await.unwrap();
    assert_eq!(running.intake.put("{}\n".into()).await, Err(Refused::Stopping));
    let mut there: Vec<u32> = read(&running.log)
        .iter()
        .map(|line| line.trim_start_matches("{\"n\":").trim_end_matches('}').parse().unwrap())
        .collect();
    there.sort_unstable();
    taken.sort_unstable();
    assert_eq!(there, taken);
}

#[tokio::test]
async fn a_full_spool_refuses_who_asks_and_lets_the_patient_in_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), 1500);
    let line: Bytes = format!("{}\n", "x".repeat(999)).into();
    running.intake.put(line.clone()).await.unwrap();
    assert_eq!(running.intake.put(line.clone()).await, Err(Refused::Full));
    running.intake.put("{}\n".into()).await.unwrap();
    wait_for_alarms(&running.alarms, &[AlarmKind::Full]).await;
    assert!(running.alarms.raised()[0].text.contains("wait for forwarder siem)"), "{:?}", running.alarms.raised());
    let patient = tokio::spawn({
        let intake = running.intake.clone();
        async move { intake.put_patiently(line).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!patient.is_finished());
    let segments = running.log.segments();
    let past = segments.iter().map(|segment| (segment.id, segment.size())).collect();
    running.log.release_gate.report("siem", past);
    patient.await.unwrap().unwrap();
    wait_for_alarms(&running.alarms, &[]).await;
}
