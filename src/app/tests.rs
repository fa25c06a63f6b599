//! Tasks that panic, while the rest runs on.

use std::{path::Path, time::Duration};

use super::*;

/// One source, two forwarders to a port where nobody listens.
async fn app(dir: &Path) -> App {
    let yaml = format!(
        "stateDir: {dir}/state\n\
         sources: [{{name: app, kind: file, include: [\"{dir}/*.log\"], scanInterval: 50ms}}]\n\
         forwarders:\n\
         - {{name: one, uri: \"http://127.0.0.1:1/\"}}\n\
         - {{name: two, uri: \"http://127.0.0.1:1/\"}}\n",
        dir = dir.display()
    );
    let path = dir.join("config.yaml");
    std::fs::write(&path, yaml).unwrap();
    std::fs::write(dir.join("a.log"), "{\"n\":1}\n").unwrap();
    App::start(config::load(&path, &|_| None).unwrap(), SourceTasks::default()).await.unwrap()
}

/// Looks after the tasks until a condition holds.
async fn run_until(app: &mut App, registry: &Registry, holds: impl Fn(&Registry) -> bool) {
    let waited = async {
        while !holds(registry) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let limit = Duration::from_secs(20);
    app.run_until(async { tokio::time::timeout(limit, waited).await.unwrap() }).await;
}

fn bugs(registry: &Registry) -> Vec<String> {
    let alarms = registry.alarms.raised().into_iter().filter(|alarm| alarm.kind == AlarmKind::Bug);
    alarms.map(|alarm| alarm.subject.to_string()).collect()
}

/// A task that panics with the pulse of a loop in its hand, in the place of one that ran.
async fn panicking(registry: &Registry, name: &str) {
    let _pulse = registry.health.pulse(name);
    panic!("on purpose");
}

/// Puts a task that panics in the place of a forwarder's, which has ended by then.
async fn break_off(app: &mut App, name: &'static str) {
    let running = &app.forwarders[name];
    running.orders.send_replace(ForwarderOrder::Stop);
    while app.tasks.join_next_with_id().await.unwrap().unwrap().0 != running.task {}
    let inner = app.registry.clone();
    let stand_in = app.tasks.spawn(async move {
        panicking(&inner, &format!("forwarder {name}")).await;
        ForwarderEnd::Drained
    });
    app.forwarders.get_mut(name).unwrap().task = stand_in.id();
}

// E1
#[tokio::test(flavor = "multi_thread")]
async fn a_forwarder_that_panics_is_started_anew_and_the_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut app = app(dir.path()).await;
    let registry = app.registry.clone();
    let (one, two) = (app.forwarders["one"].task, app.forwarders["two"].task);
    // It is stopped without a word, and another that panics stands in its place.
    break_off(&mut app, "one").await;
    let dead = app.forwarders["one"].task;
    run_until(&mut app, &registry, |registry| bugs(registry) == ["forwarder one"]).await;
    let revived = app.forwarders["one"].task;
    assert!(revived != one && revived != dead);
    assert_eq!(app.forwarders["two"].task, two);
    assert!(registry.health.stuck().is_empty(), "{:?}", registry.health.stuck());
    assert_eq!(app.drain(std::future::ready(())).await.forwarders, ForwarderEnd::Backlog);
}

// E1 with its journal damaged meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_forwarder_that_panics_and_cannot_be_opened_again_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let mut app = app(dir.path()).await;
    let registry = app.registry.clone();
    let two = app.forwarders["two"].task;
    let journal = dir.path().join("state/forwarders/one/journal");
    break_off(&mut app, "one").await;
    std::fs::remove_file(&journal).unwrap();
    std::fs::create_dir(&journal).unwrap();
    let aside = |registry: &Registry| registry.alarms.raised().iter().any(|alarm| alarm.kind == AlarmKind::File);
    run_until(&mut app, &registry, aside).await;
    assert!(app.stopped.contains_key("one") && !app.forwarders.contains_key("one"));
    assert_eq!(app.forwarders["two"].task, two);
    let shown = registry.forwarders().iter().map(|stats| stats.snapshot().state.name()).collect::<Vec<_>>();
    assert_eq!(shown[0], "stopped");
    assert!(registry.health.stuck().is_empty(), "{:?}", registry.health.stuck());
    let broken: Vec<_> =
        registry.alarms.raised().into_iter().filter(|alarm| alarm.kind == AlarmKind::State).collect();
    assert!(broken.iter().all(|alarm| !alarm.subject.to_string().contains("one")), "it is ready: {broken:?}");
    // What is damaged is not tried again before a reload, for somebody may be about to put a backup there.
    assert_eq!(app.stopped["one"].again, None);
    std::fs::remove_dir(&journal).unwrap();
    let config = app.config.clone();
    app.reload(config).await.unwrap();
    assert!(app.stopped.is_empty() && app.forwarders.contains_key("one") && !aside(&registry));
    assert_eq!(app.drain(std::future::ready(())).await.forwarders, ForwarderEnd::Backlog);
}

// C16
#[tokio::test(flavor = "multi_thread")]
async fn a_forwarder_whose_storage_failed_is_tried_again_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let letters = dir.path().join("state/dead-letters/one");
    crate::durable::create_private_dir(letters.parent().unwrap()).unwrap();
    std::fs::write(&letters, "").unwrap();
    let mut app = app(dir.path()).await;
    let registry = app.registry.clone();
    assert!(app.stopped.contains_key("one"), "a file stands where its directory should");
    let due = |app: &mut App| app.stopped.get_mut("one").unwrap().again.replace(Instant::now()).unwrap();
    assert!(due(&mut app) > Instant::now());
    app.try_stopped_again().await;
    assert!(due(&mut app) > Instant::now(), "it is tried later again");
    std::fs::remove_file(&letters).unwrap();
    run_until(&mut app, &registry, |registry| registry.alarms.raised().is_empty()).await;
    assert!(app.stopped.is_empty() && app.forwarders.contains_key("one"));
    assert_eq!(app.drain(std::future::ready(())).await.forwarders, ForwarderEnd::Backlog);
}

// E2
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_panics_is_started_anew_with_those_that_follow_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut app = app(dir.path()).await;
    let registry = app.registry.clone();
    let before = app.sources["app"].log.clone();
    // Only what was scanned has a catalog to start from.
    run_until(&mut app, &registry, |_| before.was_scanned()).await;
    let inner = registry.clone();
    let source = app.sources.get_mut("app").unwrap();
    source.task.abort();
    source.task = tokio::spawn(async move { panicking(&inner, "source app").await });
    run_until(&mut app, &registry, |registry| bugs(registry) == ["source app"]).await;
    let log = app.sources["app"].log.clone();
    assert_eq!(log.id, before.id, "its catalog");
    std::fs::write(dir.path().join("b.log"), "{\"n\":2}\n").unwrap();
    run_until(&mut app, &registry, |_| log.segments().len() == 2).await;
    // Those that follow it look at the new log: the new file is in their backlog.
    let both = (2 * "{\"n\":1}\n".len()) as u64;
    let stats = [&app.forwarders["one"], &app.forwarders["two"]].map(|running| running.stats.clone());
    run_until(&mut app, &registry, |_| stats.iter().all(|stats| stats.snapshot().sources[0].backlog_bytes == both))
        .await;
    assert!(registry.health.stuck().is_empty(), "{:?}", registry.health.stuck());
    assert_eq!(app.drain(std::future::ready(())).await.forwarders, ForwarderEnd::Backlog);
}
