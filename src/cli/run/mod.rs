//! `auditpost run`: forward until stopped. SIGTERM and SIGINT drain, a second one hurries, SIGHUP reloads; also while it
//! starts, see [`signals`].

mod signals;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Barrier},
    time::Duration,
};

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use tokio::runtime::{Handle, Runtime};
use tracing::{error, info, warn};

use super::{diagnostics, exit::Exit, state_dir, terminal};
use crate::{
    VERSION,
    app::{App, AppEnd},
    config::{self, Config},
    forwarder::{
        compress,
        deliver::BULK_ANSWER,
        window::{AHEAD, ForwarderEnd},
    },
    log::{reader, tail::MOST_MEMORY},
    notify::ServiceManager,
    source::{SourceTasks, listener::Listener},
};

use signals::{RunSignals, SignalOrder};

/// Threads of the runtime; files are read and batches compressed on others.
const WORKERS: usize = 2;

/// How long sources may take to write down what they took, where a start is given up.
const LAST_RECORDS: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The configuration
    #[arg(short, long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

/// Runs until a signal ends it.
pub fn run(args: &RunArgs) -> Exit {
    let signals = match RunSignals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            terminal::complain("run", &format!("cannot listen for signals: {error}; nothing was started"));
            return Exit::Software;
        }
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = "nothing was started: raise the limit of processes";
            terminal::complain("run", &format!("cannot start threads: {error}; {text}"));
            return Exit::Software;
        }
    };
    let exit = runtime.block_on(forward(args, signals));
    // A file system that hangs must not keep us: what matters was written before.
    runtime.shutdown_background();
    exit
}

fn runtime() -> io::Result<Runtime> {
    threads_can_be_started()?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()
}

/// The runtime panics where the limit of processes is too low for its threads; this asks first, with one more for files.
fn threads_can_be_started() -> io::Result<()> {
    let gate = Arc::new(Barrier::new(WORKERS + 2));
    let waiting = (0..=WORKERS).map(|_| {
        let gate = gate.clone();
        std::thread::Builder::new().stack_size(64 * 1024).spawn(move || gate.wait().is_leader())
    });
    // Where one cannot be started the others wait until the process ends, which is at once.
    let waiting = waiting.collect::<io::Result<Vec<_>>>()?;
    gate.wait();
    // They make room for the real ones.
    waiting.into_iter().for_each(|thread| drop(thread.join()));
    Ok(())
}

async fn forward(args: &RunArgs, mut signals: RunSignals) -> Exit {
    let path = args.config.clone();
    let config = match signals.wait_for(tokio::task::spawn_blocking(move || state_dir::load(&path))).await {
        Some(Ok(config)) => config,
        Some(Err(exit)) => return exit,
        None => {
            terminal::complain("run", "stopped before the configuration was read; nothing was started");
            return Exit::Backlog;
        }
    };
    diagnostics::install(&config.diagnostics);
    raise_descriptor_limit();
    keep_memory_private();
    info!(version = VERSION, config = %args.config.display(), state = %config.state_dir.display(),
        memory_at_most = format_args!("{} MiB", memory_bound(&config).div_ceil(1 << 20)),
        decompressing_at_most = format_args!("{} MiB", decompressing_bound(&config) >> 20), "starting");
    let (runtime, source_tasks) = (Handle::current(), SourceTasks::default());
    let starting = App::start(config, source_tasks.clone());
    // It waits for disks, and the pages are to answer meanwhile.
    let starting = tokio::task::spawn_blocking(move || runtime.block_on(starting));
    let mut app = match signals.wait_for(starting).await {
        Some(Ok(app)) => app,
        Some(Err(error)) => {
            error!("{error}");
            // Those that were started before it failed may have taken events.
            source_tasks.stop_within(LAST_RECORDS).await;
            return Exit::from(&error);
        }
        None => return give_up(&source_tasks).await,
    };
    let manager = Arc::new(ServiceManager::of_environment());
    manager.ready();
    // It goes on to the end: a drain that hangs is no life either.
    tokio::spawn(manager.clone().run(app.registry()));
    loop {
        let mut order = SignalOrder::Stop;
        app.run_until(async { order = signals.order().await }).await;
        if order == SignalOrder::Stop {
            break;
        }
        manager.reloading();
        reload_from(&args.config, &mut app).await;
        manager.ready();
    }
    manager.stopping();
    tell_end(&app.drain(signals.stop()).await)
}

/// The closing sentence, and the status that says the same.
fn tell_end(AppEnd { forwarders, shortfalls }: &AppEnd) -> Exit {
    let beside = if shortfalls.is_loss() || shortfalls.is_backlog() {
        format!("; beside that: {shortfalls}")
    } else {
        String::new()
    };
    match forwarders {
        ForwarderEnd::Drained if shortfalls.is_backlog() || shortfalls.is_loss() => {
            warn!("stopped: what could be sent is delivered, and not all could be: {shortfalls}");
            if shortfalls.is_backlog() { Exit::Backlog } else { Exit::Shortfall }
        }
        ForwarderEnd::Drained => {
            info!("stopped: everything is delivered");
            Exit::Ok
        }
        ForwarderEnd::Backlog => {
            warn!("stopped with a backlog, which is safe on disk and is delivered after the next start{beside}");
            Exit::Backlog
        }
        ForwarderEnd::Unwritten => {
            error!(
                "stopped, and storage fails: what was sent last may be sent again, and the rest is delivered after the next start; look after the state directory{beside}"
            );
            Exit::Storage
        }
    }
}

/// The start is not waited for any longer. Sources that take events already still write down what they took.
async fn give_up(source_tasks: &SourceTasks) -> Exit {
    if source_tasks.stop_within(LAST_RECORDS).await {
        warn!("stopped before everything was started; what is not delivered is delivered after the next start");
        return Exit::Backlog;
    }
    error!(
        "stopped before everything was started, and storage does not answer: what sources were sent last may be lost, where its sender does not send it again; the rest is delivered after the next start"
    );
    Exit::Storage
}

/// A configuration with problems changes nothing; the old one stays.
async fn reload_from(path: &Path, app: &mut App) {
    match config::load(path, &config::environment) {
        Ok(config) => {
            if let Err(error) = app.reload(config).await {
                app.reload_failed(format!("a part of the new configuration could not be started: {error}"));
            } else {
                app.reloaded();
            }
        }
        Err(problems) => {
            for problem in problems.iter() {
                error!("{problem}");
            }
            let first = problems.iter().next().map(|problem| format!("{problem:#}")).unwrap_or_default();
            app.reload_failed(format!(
                "not reloaded, the configuration before stays in force; problems: {}, the first: {first}",
                problems.count(),
            ));
        }
    }
}

/// Every tailed file wants a descriptor; the soft limit is often far below what is allowed.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, soft = limit.current, "cannot raise the limit of open files");
    }
}

/// Tokens are in our memory: no core dump, and no other process of our user looks into it.
fn keep_memory_private() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = limited.and(hidden) {
        warn!(%error, "cannot switch core dumps off");
    }
}

/// What decompressing generations may take beside that for a while, in bytes, where they were compressed with the largest
/// windows that are taken.
fn decompressing_bound(config: &Config) -> u64 {
    let files = config.sources.iter().filter(|source| matches!(source.kind, config::SourceKind::File(_)));
    files.count() as u64 * MOST_MEMORY
}

/// What the configuration allows us to use, in bytes: it does not depend on the backlog, nor on the peers.
fn memory_bound(config: &Config) -> u64 {
    const PROGRAM: usize = 12 << 20;
    let buffers = |forwarder: &config::Forwarder| {
        let followed = || config.sources.iter().filter(|source| forwarder.sources.contains(&source.name));
        // What was read of a source before something of it is lost or given up makes a batch of its own.
        let batches = forwarder.in_flight + AHEAD + followed().count();
        let reading: usize =
            followed().map(|source| source.max_event_bytes + reader::CHUNK + forwarder.batch.max_bytes).sum();
        // A batch is held as it was read and as it is sent, beside it the lines that are no events; all may be compressed
        // at once, each with a buffer for the worst case.
        let answers = if forwarder.answers == config::Answers::Bulk { forwarder.in_flight * BULK_ANSWER } else { 0 };
        batches * (4 * forwarder.batch.max_bytes + compress::STATE_BYTES) + reading + answers
    };
    let sources = config.sources.iter().map(Listener::memory);
    (PROGRAM + config.forwarders.iter().map(buffers).sum::<usize>() + sources.sum::<usize>()) as u64
}
