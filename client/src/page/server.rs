//! The page on its port.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tgtrunk_config::{PageSettings, Said, StateDir};
use tgtrunk_shell::keyboard;
use tgtrunk_shell::web::{self, AGAIN, Port};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::core::Core;
use super::entry::Entry;
use super::hub::Hub;
use super::office::{LISTENERS, Office};
use super::routes;

/// Connections beside those that listen for events.
const OTHERS: usize = 256;

/// The page while it is served. Dropped, it is served no more.
#[derive(Debug)]
pub(crate) struct Page {
    task: JoinHandle<()>,
    problem: watch::Receiver<Option<Said>>,
}

/// What the page is made of.
pub(crate) struct Plan {
    /// Where `tgtrunk.toml` is.
    pub(crate) settings_file: PathBuf,
    /// How it is served.
    pub(crate) settings: PageSettings,
    pub(crate) state: StateDir,
    /// Why the client itself does not work.
    pub(crate) trouble: watch::Receiver<Vec<Said>>,
    /// The client at work, once it is.
    pub(crate) core: Core,
}

impl Page {
    /// Serves the page from now on; a port that somebody else has is waited for.
    pub(crate) fn start(plan: Plan) -> Self {
        let (tell, problem) = watch::channel(None);
        let task = tokio::spawn(run(plan, tell));
        Self { task, problem }
    }

    /// Why the page cannot be opened, while it cannot.
    pub(crate) fn problem(&self) -> watch::Receiver<Option<Said>> {
        self.problem.clone()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(plan: Plan, problem: watch::Sender<Option<Said>>) {
    let Some(listen) = plan.settings.listen else { return };
    let port = Port { listen, key: "page.listen in tgtrunk.toml", name: ["the page", "страница"] };
    let listener = web::bind(port, &problem).await;
    let listen = listener.local_addr().unwrap_or(listen);
    let (entry, password) = door(&plan.state).await;
    match password {
        Some(password) => keyboard::note(&first_words(listen, &plan.state, &password)),
        None => tracing::info!(page = format!("http://{listen}/"), "the page is served"),
    }
    let hub = Hub::start(plan.state.clone());
    let Plan { settings_file, settings, state, trouble, core } = plan;
    let mut office = Office::new(settings_file, settings, listen, state, hub, entry, trouble);
    office.core = core;
    web::serve(listener, None, routes::router(Arc::new(office)), LISTENERS + OTHERS).await;
}

/// What is told at the first start. Standard error that is no terminal is kept by somebody, and read by more than may know
/// the password: there the file is named that holds it, if one does.
fn first_words(listen: SocketAddr, state: &StateDir, password: &str) -> String {
    let file = state.page_password();
    if std::io::stderr().is_terminal() || !file.exists() {
        format!("page: http://{listen}/ password: {password}")
    } else {
        format!("page: http://{listen}/ (its first password is in {})", file.display())
    }
}

/// The page's password and sessions; in memory where there is nowhere to keep them.
async fn door(state: &StateDir) -> (Entry, Option<String>) {
    loop {
        let error = match Entry::open(state).await {
            Ok(open) => return open,
            Err(error) => error,
        };
        tracing::error!(
            "the page's password cannot be kept, it has another one until the next start: {error:#}"
        );
        match Entry::in_memory().await {
            Ok(open) => return open,
            Err(error) => tracing::error!("the page cannot be opened: {error:#}"),
        }
        sleep(AGAIN).await;
    }
}
