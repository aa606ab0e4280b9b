//! Messages for programs: each line is an instance, as are the accounts that partners' programs make, and this is where
//! they are called.

mod address;
mod certificate;
pub(crate) mod directory;
mod office;
mod openapi;
mod owned;
pub(crate) mod partner;
mod register;
mod space;
mod tenant;
mod tenants;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tgtrunk_config::control::{InstanceInfo, NewToken, Refusal, RefusalCode};
use tgtrunk_config::{ApiSettings, Lines, Password, Phone, Said, Settings, StateDir};
use tgtrunk_messages::{
    Gate, Grant, House, Instance, InstanceId, InstanceKind, Options, Refused, Standing, Starting, actions,
    green,
};
use tgtrunk_shell::asking::Follower;
use tgtrunk_shell::caught::{Broke, broken};
use tgtrunk_shell::control::Question;
use tgtrunk_shell::web::{self, Port};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::directory::Directory;
use self::office::Office;
pub(crate) use self::owned::Owned;
use self::tenants::Tenants;
use crate::calls::{self, Admit, Admitted, Calls};

/// Most connections at once, on each port.
const CONNECTIONS: usize = 1_024;

/// What sending or fetching a file may take, where none is kept.
const SHORTEST_FILE_LIFE: Duration = Duration::from_secs(600);

/// Whose instance is whose.
type Owners = Arc<Mutex<BTreeMap<InstanceId, Phone>>>;

/// All instances, and how they are served. Clones are the same.
#[derive(Clone)]
pub(crate) struct Api {
    house: House,
    owners: Owners,
    tenants: Arc<Tenants>,
    directory: Arc<Directory>,
    terms: Terms,
    state: StateDir,
    calls: Calls,
}

/// What holds for all instances. Clones are the same.
#[derive(Clone)]
struct Terms {
    settings: Arc<Settings>,
    /// What addresses begin with.
    base: Arc<str>,
    /// The ports of this program and of its neighbours, which it asks for nothing.
    own_ports: Arc<[u16]>,
}

/// The ports. Dropped, they are closed.
pub(crate) struct Ports {
    tasks: JoinSet<()>,
    problems: Vec<watch::Receiver<Option<Said>>>,
}

impl Api {
    /// Serves instances from now on; those of lines come with the lines.
    pub(crate) async fn start(
        settings: Arc<Settings>,
        state: &StateDir,
        asks: mpsc::Sender<Question>,
        gateway: Follower,
    ) -> (Self, Ports) {
        // A port that is free is known before the first link is made.
        let ApiSettings { listen, tls_listen, .. } = settings.api;
        let bound = match listen {
            Some(listen) => TcpListener::bind(listen).await.ok(),
            None => None,
        };
        let at = bound.as_ref().and_then(|bound| bound.local_addr().ok()).or(listen);
        let base = settings.api.public_url.clone().unwrap_or_else(|| address::base(at, tls_listen));
        let base: Arc<str> = base.into();
        let owners = Owners::default();
        let terms = Terms { settings: Arc::clone(&settings), base, own_ports: own_ports(&settings, at) };
        let tenants = Arc::new(Tenants::new(terms.clone(), state.clone()));
        let office = Office::new(asks, Arc::clone(&owners), Arc::clone(&tenants), state.clone());
        let house = House::new(Arc::new(office));
        tenants.start(house.clone()).await;
        let calls = Calls::new(gateway, state.gateway_socket(), &settings.api, terms.own_ports.to_vec());
        let (own, others) = (Arc::clone(&owners), Arc::clone(&tenants));
        let directory = Directory::open(house.clone(), own, others, &terms, state.clone()).await;
        let state_dir = state.clone();
        let api = Self { house: house.clone(), owners, tenants, directory, terms, state: state_dir, calls };
        // Programs that call before the lines are open hear that they are starting.
        let lines = Lines::load(state).map(|found| found.lines).unwrap_or_default();
        for line in lines.into_iter().filter(|line| line.enabled) {
            if let Some(id) = api.house.expect(&state.client_db(&line.phone)).await {
                api.owners.lock().unwrap_or_else(PoisonError::into_inner).insert(id, line.phone);
            }
        }
        let router = calls::router(api.calls.clone(), Arc::new(api.clone()))
            .merge(directory::router(Arc::clone(&api.directory)))
            .merge(tgtrunk_messages::openapi::router(openapi::API))
            .merge(actions::router(house.clone(), Arc::clone(&api.directory) as Arc<dyn Gate>))
            .fallback_service(green::router(house, green::Pace::default()));
        let (mut tasks, mut problems) = (JoinSet::new(), Vec::new());
        if let Some(problem) = api.tenants.problem() {
            problems.push(watch::channel(Some(problem)).1);
        }
        if let Some(listen) = listen {
            let (tell, problem) = watch::channel(None);
            tasks.spawn(serve(listen, bound, router.clone(), tell));
            problems.push(problem);
        }
        if let Some(listen) = tls_listen {
            let (tell, problem) = watch::channel(None);
            tasks.spawn(serve_tls(listen, api.clone(), router, tell));
            problems.push(problem);
        }
        let (tell, problem) = watch::channel(None);
        tasks.spawn(Arc::clone(&api.directory).run(tell));
        problems.push(problem);
        let (tell, problem) = watch::channel(None);
        tasks.spawn(space::watch(state.root().to_owned(), settings.api.disk_reserve_mb, tell));
        problems.push(problem);
        (api, Ports { tasks, problems })
    }

    /// The lines' calls, for programs.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// How a line's instance treats what it keeps.
    pub(crate) fn options(&self, phone: &Phone) -> Options {
        let folder = self.state.phone_dir(phone).join("files");
        self.terms.options(phone.as_str(), folder)
    }

    /// A line's instance can be called from now on.
    pub(crate) fn enter(&self, phone: &Phone, instance: Instance) {
        let id = instance.id();
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).insert(id, phone.clone());
        self.house.enter(instance);
    }

    /// A line is opened anew: its instance is starting until it is entered again.
    pub(crate) fn rest(&self, phone: &Phone) {
        if let Some(id) = self.instance_of(phone) {
            self.house.rest(id);
        }
    }

    /// A line is closed, whether it was being opened anew or not.
    pub(crate) fn give_up(&self, phone: &Phone) {
        if let Some(id) = self.instance_of(phone).filter(|id| self.house.rests(*id)) {
            self.house.give_up(id);
            self.leave(id);
        }
    }

    /// It cannot be called any more.
    pub(crate) fn leave(&self, id: InstanceId) {
        self.house.leave(id);
        if self.house.rests(id) {
            return;
        }
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.directory.left();
    }

    /// Tokens, organisations, and whom they notify.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    fn owned(&self) -> BTreeMap<InstanceId, Phone> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn instance_of(&self, line: &Phone) -> Option<InstanceId> {
        self.owned().iter().find(|(_, owner)| *owner == line).map(|(id, _)| *id)
    }

    /// The instance of a number, whether it is a line or not.
    fn called(&self, phone: &Phone) -> Option<InstanceId> {
        let tenant = || {
            let rows = self.tenants.rows();
            rows.into_iter().find(|row| row.phone.as_ref() == Some(phone)).map(|row| row.id)
        };
        self.instance_of(phone).or_else(tenant)
    }

    /// Ends the instances that are no lines.
    pub(crate) async fn stop(&self) {
        self.tenants.stop().await;
        self.directory.stop().await;
    }

    /// All instances at a glance: those of lines, then the others.
    pub(crate) async fn instances(&self) -> Result<Vec<InstanceInfo>, Refusal> {
        let lines = self.owned().into_iter().map(|(id, line)| (id, Some(line), None, String::new()));
        let others = self.tenants.rows().into_iter().map(|row| (row.id, None, row.phone, row.name));
        let mut infos = Vec::new();
        let (there, starting) = self.house.all();
        for (id, line, phone, name) in lines.chain(others) {
            let starts = starting.iter().find(|one| one.id == id);
            let mut info = InstanceInfo {
                instance: id.get(),
                line,
                bot: None,
                phone,
                name,
                standing: Standing::Starting.as_str().to_owned(),
                has_token: starts.is_none_or(Starting::has_token),
                outgoing: 0,
                notifications: 0,
                dropped: 0,
            };
            if let Some(instance) = there.iter().find(|one| one.id() == id) {
                instance.standing().as_str().clone_into(&mut info.standing);
                info.has_token = instance.has_token();
                info.outgoing = instance.queue_len().await.map_err(refusal)?;
                info.notifications = instance.notifications_len().await.map_err(refusal)?;
                info.dropped = instance.dropped().await.map_err(refusal)?.count;
            } else if starts.is_none() && info.line.is_some() {
                // It has just been closed.
                continue;
            }
            infos.push(info);
        }
        infos.sort_by_key(|info| (info.line.is_none(), info.line.clone(), info.instance));
        Ok(infos)
    }

    /// Another token for the instance of a number: a line's, or one that a partner made and whose account has it.
    pub(crate) async fn renew_token(&self, line: &Phone) -> Result<NewToken, Refusal> {
        let instance = self.called(line).and_then(|id| self.house.instance(id)).ok_or_else(|| Refusal {
            code: RefusalCode::UnknownLine,
            message: format!("the client has no line {line} that runs"),
        })?;
        let token = instance.renew_token().await.map_err(refusal)?;
        Ok(NewToken {
            instance: instance.id().get(),
            token: Password::new(token.reveal()),
            url: self.terms.base.to_string(),
        })
    }
}

impl Admit for Api {
    fn admits(&self, bearer: &str) -> Option<Admitted> {
        let mut owned = self.owned();
        match self.directory.grant(bearer) {
            Some(Grant::All) => Some(Admitted::All),
            Some(Grant::Instance(id)) => owned.remove(&id).map(Admitted::Line),
            None => {
                let mut unsure = None;
                for (id, line) in owned {
                    match self.house.is_token(id, bearer) {
                        Some(true) => return Some(Admitted::Line(line)),
                        Some(false) => {}
                        None => unsure = Some(Admitted::Starting),
                    }
                }
                unsure
            }
        }
    }
}

impl Ports {
    /// Why ports are not open, as far as they are not, and what there is no room for.
    pub(crate) fn problems(&self) -> Vec<watch::Receiver<Option<Said>>> {
        self.problems.clone()
    }

    /// Waits until what serves one of them breaks.
    pub(crate) async fn broken(&mut self) -> Broke {
        broken(&mut self.tasks).await
    }
}

/// The ports of this program, whose API is served at `at`, and of its neighbours: what is said there is said to operators,
/// and no file of anybody's.
fn own_ports(settings: &Settings, at: Option<SocketAddr>) -> Arc<[u16]> {
    at.map(|at| at.port()).into_iter().chain(settings.own_ports()).collect()
}

fn refusal(refused: Refused) -> Refusal {
    Refusal { code: RefusalCode::Internal, message: refused.to_string() }
}

impl Terms {
    /// How an instance treats what it keeps.
    fn options(&self, name: &str, folder: PathBuf) -> Options {
        const MB: u64 = 1024 * 1024;
        let ApiSettings { journal, files, queue, outgoing, phone_checks_per_day, webhook_timeout, .. } =
            self.settings.api;
        let (most, reserve) = (self.settings.api.files_total_mb, self.settings.api.disk_reserve_mb);
        Options {
            queue_life: queue,
            outgoing_life: outgoing,
            journal_life: journal,
            file_life: files.max(SHORTEST_FILE_LIFE),
            checks_per_day: phone_checks_per_day,
            webhook_timeout,
            notification_limit: self.settings.api.notification_limit,
            refuses_long_texts: self.settings.api.refuse_long_texts,
            own_ports: self.own_ports.to_vec(),
            files_most_bytes: u64::from(most) * MB,
            disk_reserve_bytes: u64::from(reserve) * MB,
            ..Options::new(InstanceKind::User, name, folder, &self.base)
        }
    }
}

async fn serve(
    listen: SocketAddr,
    bound: Option<TcpListener>,
    router: Router,
    problem: watch::Sender<Option<Said>>,
) {
    let listener = match bound {
        Some(bound) => bound,
        None => {
            let port = Port {
                listen,
                key: "api.listen in tgtrunk.toml",
                name: ["the messages' API", "API сообщений"],
            };
            web::bind(port, &problem).await
        }
    };
    let at = listener.local_addr().unwrap_or(listen);
    tracing::info!(api = format!("http://{at}"), "messages are served");
    web::serve(listener, None, router, CONNECTIONS).await;
}

async fn serve_tls(listen: SocketAddr, api: Api, router: Router, problem: watch::Sender<Option<Said>>) {
    let (acceptor, shown) = loop {
        match certificate::acceptor(&api.terms.settings.api, &api.state, listen.ip()) {
            Ok(opened) => break opened,
            Err(said) => {
                if problem.send_replace(Some(said.clone())).as_ref() != Some(&said) {
                    tracing::error!("{}", said.in_language(tgtrunk_shell::language()));
                }
                sleep(web::AGAIN).await;
            }
        }
    };
    let port = Port {
        listen,
        key: "api.tls_listen in tgtrunk.toml",
        name: ["the messages' API with TLS", "API сообщений с TLS"],
    };
    let listener = web::bind(port, &problem).await;
    let at = listener.local_addr().unwrap_or(listen);
    tracing::info!(api = format!("https://{at}"), "messages are served");
    tokio::select! {
        () = web::serve(listener, Some(acceptor), router, CONNECTIONS) => {}
        () = shown.follow(certificate::LOOK) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn programs_have_nothing_fetched_from_ours() {
        let text = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n[gateway]\nmetrics = \"9464\"\n\
            [bot.webhook]\nurl = \"https://example.org/\"\nlisten = \"127.0.0.1:8443\"\n[bot.api]\nlisten = \"127.0.0.1:8092\"\n\
            [page]\nlisten = \"off\"\n[api]\nlisten = \"off\"\ntls_listen = \"0.0.0.0:443\"\n";
        let settings = Settings::parse(text, Path::new("tgtrunk.toml")).unwrap();
        let ports = own_ports(&settings, Some(([127, 0, 0, 1], 40_001).into()));
        assert_eq!(*ports, [40_001, 443, 9464, 8092, 8443]);
    }
}
