//! `auditpost run`: forward until stopped. SIGTERM and SIGINT drain, a second one hurries, SIGHUP reloads.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Barrier},
};

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::{diagnostics, exit::Exit};
use crate::{
    VERSION,
    app::App,
    config::{self, Config},
    forwarder::{
        compress,
        deliver::BULK_ANSWER,
        task::{AHEAD, ForwarderEnd},
    },
    log::reader,
    notify::ServiceManager,
    source::listener::Listener,
};

/// Threads of the runtime; files are read and batches compressed on others.
const WORKERS: usize = 2;

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The configuration
    #[arg(short, long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

/// Runs until a signal ends it.
pub fn run(args: &RunArgs) -> Exit {
    let config = match config::load(&args.config, &config::environment) {
        Ok(config) => config,
        Err(problems) => {
            // Nobody is left to be told where this fails.
            let _ = writeln!(io::stderr(), "{problems}");
            return Exit::Config;
        }
    };
    diagnostics::install(&config.diagnostics);
    raise_descriptor_limit();
    keep_memory_private();
    let started = threads_can_be_started()
        .and_then(|()| tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build());
    let runtime = match started {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "cannot start threads; nothing was started: raise the limit of processes");
            return Exit::Software;
        }
    };
    let exit = runtime.block_on(forward(args, config));
    // A file system that hangs must not keep us: what matters was written before.
    runtime.shutdown_background();
    exit
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

async fn forward(args: &RunArgs, config: Config) -> Exit {
    info!(version = VERSION, config = %args.config.display(), state = %config.state_dir.display(),
        memory_at_most = format_args!("{} MiB", memory_bound(&config).div_ceil(1 << 20)), "starting");
    let (mut terminate, mut interrupt, mut hangup) = match signals() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "cannot listen for signals; nothing was started");
            return Exit::Software;
        }
    };
    let mut app = match App::start(config).await {
        Ok(app) => app,
        Err(error) => {
            error!("{error}");
            return Exit::from(&error);
        }
    };
    let manager = Arc::new(ServiceManager::of_environment());
    manager.ready();
    // It goes on to the end: a drain that hangs is no life either.
    tokio::spawn(manager.clone().run(app.registry()));
    loop {
        let mut asked = false;
        app.run_until(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => asked = true,
            }
        })
        .await;
        if !asked {
            break;
        }
        manager.reloading();
        reload_from(&args.config, &mut app).await;
        manager.ready();
    }
    manager.stopping();
    let hurry = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    match app.drain(hurry).await {
        ForwarderEnd::Drained => {
            info!("stopped: everything is delivered");
            Exit::Ok
        }
        ForwarderEnd::Backlog => {
            warn!("stopped with a backlog, which is safe on disk and is delivered after the next start");
            Exit::Backlog
        }
        ForwarderEnd::Unwritten => {
            error!(
                "stopped, and storage fails: nothing is lost, but what was sent last may be sent again; look after the state directory"
            );
            Exit::Storage
        }
    }
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

fn signals() -> io::Result<(Signal, Signal, Signal)> {
    // Where files may not grow any more (`ulimit -f`) a write is to fail, and not to end the process.
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?))
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

/// What the configuration allows us to use, in bytes: it does not depend on the backlog, nor on the peers.
fn memory_bound(config: &Config) -> u64 {
    const PROGRAM: usize = 12 << 20;
    let buffers = |forwarder: &config::Forwarder| {
        let followed = || config.sources.iter().filter(|source| forwarder.sources.contains(&source.name));
        let detaches = |source: &&config::Source| {
            source.kind.spool().is_some_and(|spool| matches!(spool.on_full, config::OnFull::Detach { .. }))
        };
        // What was read of a source before something of it is given up makes a batch of its own.
        let batches = forwarder.in_flight + AHEAD + followed().filter(detaches).count();
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
