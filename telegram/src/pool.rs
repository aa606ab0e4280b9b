//! Keeps a link with Telegram running: one that panics, hangs or is told to is replaced by a new one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::core::{AnewError, Core};
use crate::flag::raised;
use crate::link::{self, Hello};
use crate::notice::Parcel;
use crate::session::Memory;
use crate::status::Orange;
use crate::{stream, tee};

/// Updates between the link and the tee; what does not fit is asked for later.
const WIRE: usize = 8192;
/// Updates between the tee and the stream, which may be asking for a difference meanwhile.
const STREAM: usize = 16_384;
/// A pool that ran so long without failing is a good one.
const CALM: Duration = Duration::from_secs(60);
/// How long the tasks of a pool may take to end.
const PARTING: Duration = Duration::from_secs(2);

/// What the supervisor can be told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Make the pool anew.
    Restart,
    /// The same, with other keys.
    Replace {
        /// Which.
        keys: Keys,
        /// Told when the new pool may be used.
        done: oneshot::Sender<Result<(), AnewError>>,
    },
}

/// What takes the place of a session's keys.
#[derive(Debug)]
pub(crate) enum Keys {
    /// Fresh ones; and why.
    Fresh(&'static str),
    /// Those of another session, which has a user.
    Of(Box<Memory>),
}

/// One pool with its tasks.
struct Generation {
    /// It ends only when it is told to, or by a panic.
    runner: AbortHandle,
    tasks: JoinSet<()>,
    over: watch::Sender<bool>,
}

enum End {
    Stop,
    Died(Result<(), JoinError>),
    Told(Command),
}

/// Runs until the account stops.
pub(crate) async fn supervise(
    core: Arc<Core>,
    mut commands: mpsc::Receiver<Command>,
    courier: mpsc::Sender<Parcel>,
) {
    let mut stop = core.stop.subscribe();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    let mut answer = None;
    loop {
        let mut generation = Generation::start(&core, &courier);
        if let Some((done, result)) = answer.take() {
            let done: oneshot::Sender<Result<(), AnewError>> = done;
            let _ = done.send(result);
        }
        core.kick.notify_one();
        let end = {
            let calm = sleep(CALM);
            tokio::pin!(calm);
            loop {
                tokio::select! {
                    biased;
                    () = raised(&mut stop) => break End::Stop,
                    Some(command) = commands.recv() => break End::Told(command),
                    Some(end) = generation.tasks.join_next() => break End::Died(end),
                    () = &mut calm, if !calm.is_elapsed() => backoff.reset(),
                }
            }
        };
        core.link.send_replace(None);
        generation.end().await;
        match end {
            End::Stop => return,
            End::Told(Command::Restart) => info!("making the connection pool anew"),
            End::Told(Command::Replace { keys, done }) => {
                let result = core.replace_keys(keys).await;
                answer = Some((done, result));
            }
            End::Died(result) => {
                let pause = backoff.pause();
                let panicked = result.is_err_and(|error| error.is_panic());
                warn!(panicked, pause_ms = pause.as_millis(), "the connection pool died");
                core.health.waiting(Orange::Restarting);
                tokio::select! {
                    () = raised(&mut stop) => return,
                    () = sleep(pause) => {}
                }
            }
        }
    }
}

impl Generation {
    fn start(core: &Arc<Core>, courier: &mpsc::Sender<Parcel>) -> Self {
        let (link, runner, updates) =
            link::open(Arc::clone(&core.session), Arc::clone(&core.time), hello(core), WIRE);
        let (pass, passed) = mpsc::channel(STREAM);
        let (over, is_over) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let runner = tasks.spawn(runner.run());
        tasks.spawn(tee::run(Arc::clone(core), updates, pass, courier.clone()));
        tasks.spawn(stream::run(Arc::clone(core), link.clone(), passed, courier.clone(), is_over));
        core.link.send_replace(Some(link));
        Self { runner, tasks, over }
    }

    /// Ends the tasks; the stream saves its state before.
    async fn end(mut self) {
        self.over.send_replace(true);
        self.runner.abort();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(PARTING, all).await.is_err() {
            warn!("a task had to be ended by force");
            self.tasks.shutdown().await;
        }
    }
}

fn hello(core: &Core) -> Hello {
    let settings = &core.settings;
    Hello {
        api_id: settings.api_id,
        device_model: settings.device_model.clone(),
        system_version: settings.system_version.clone(),
        app_version: settings.app_version.clone(),
        lang_code: settings.lang_code.clone(),
        proxy: settings.proxy.clone(),
    }
}
