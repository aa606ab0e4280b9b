//! All instances without a line: made, deleted and opened again; each is a task of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tgtrunk_config::{Said, StateDir};
use tgtrunk_messages::{Former, House, InstanceId, Refused, Store, Token};
use tgtrunk_telegram::{Database, DatabaseError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{Instrument as _, error, info, info_span, warn};

use super::Terms;
use super::register::{Register, Row, unwritten};
use super::tenant::{End, Tenant};

/// How long it is waited until an instance can be called that was just made.
const OPENING: Duration = Duration::from_secs(5);
/// How long the end of one may take.
const ENDING: Duration = Duration::from_secs(30);
/// Numbers that are tried for a new one.
const DRAWS: u32 = 1_000;

/// All of them.
pub(super) struct Tenants {
    house: OnceLock<House>,
    terms: Terms,
    state: StateDir,
    register: Arc<Register>,
    kept: Mutex<BTreeMap<InstanceId, Kept>>,
    /// Whoever makes or deletes one holds it.
    turn: tokio::sync::Mutex<()>,
}

struct Kept {
    ends: mpsc::Sender<End>,
    is_open: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Tenants {
    /// Those of a state directory; none works yet.
    pub(super) fn new(terms: Terms, state: StateDir) -> Self {
        let register = Arc::new(Register::open(&state));
        Self {
            house: OnceLock::new(),
            terms,
            state,
            register,
            kept: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Opens them all. What was never finished is removed, and what was deleted as well; what nobody knows is left.
    pub(super) async fn start(self: &Arc<Self>, house: House) {
        self.house.set(house.clone()).ok();
        if let Some(problem) = self.register.problem() {
            return error!("{problem}");
        }
        let folders = self.state.instance_folders().unwrap_or_else(|error| {
            error!("the folders of instances cannot be listed: {error}");
            Vec::new()
        });
        for folder in folders {
            let row = folder.parse().ok().and_then(|id| self.register.row(id));
            match row {
                Some(row) if row.deleted_s.is_none() => self.unmark(row.id),
                Some(row) => drop(tokio::spawn(Arc::clone(self).finish(row))),
                None if self.state.is_unfinished_instance(&folder) => self.forget(&folder),
                None => warn!("{folder} among the instances is nobody's: remove it if it is not needed"),
            }
        }
        for row in self.register.live() {
            // Programs that call before it is open hear that it is starting.
            if house.expect(&self.state.instance_db(row.id.get())).await.is_none() {
                house.expect_unread(row.id, &row.name, row.created_s);
            }
            self.begin(&row);
        }
    }

    /// Why they do not work.
    pub(super) fn problem(&self) -> Option<Said> {
        self.register.problem().cloned()
    }

    /// Those that are not deleted.
    pub(super) fn rows(&self) -> Vec<Row> {
        self.register.live()
    }

    /// Those that were deleted lately.
    pub(super) fn former(&self) -> Vec<Former> {
        self.register.former()
    }

    /// Whether an instance is one of these, deleted or not.
    pub(super) fn knows(&self, id: InstanceId) -> bool {
        self.register.row(id).is_some()
    }

    /// Makes one. It is whole on the disk before it is in the register, and in the register before its token is told.
    pub(super) async fn create(
        self: Arc<Self>,
        name: String,
        settings: tgtrunk_messages::Settings,
    ) -> Result<(InstanceId, Token), Refused> {
        let _turn = self.turn.lock().await;
        if let Some(problem) = self.register.problem() {
            return Err(Refused::Storage(problem.en.clone()));
        }
        let (most, there) = (self.terms.settings.api.partner_instances, self.register.live().len());
        if u32::try_from(there).is_ok_and(|there| there >= most) {
            return Err(Refused::Bad(format!(
                "there are {there} instances already: delete one, or raise partner_instances = {most} in [api] of tgtrunk.toml"
            )));
        }
        let id = self.free_number().ok_or_else(|| Refused::Full("no number is free".to_owned()))?;
        let (token, folder) = (Token::new(), id.to_string());
        let row = Row { id, name, created_s: crate::clock::unix_s(), phone: None, deleted_s: None };
        let made = match self.build(&row, &token, settings).await {
            Ok(()) => self.register.add(row.clone()).await,
            Err(refused) => Err(refused),
        };
        if let Err(refused) = made {
            self.forget(&folder);
            return Err(refused);
        }
        self.unmark(id);
        info!(instance = %id, "an instance is made");
        if let Some(house) = self.house.get() {
            // Its token is told, however long it takes to open.
            house.expect(&self.state.instance_db(id.get())).await;
        }
        self.begin(&row);
        self.until_open(id).await;
        Ok((id, token))
    }

    /// Deletes one: its account is logged out, all that it kept is removed.
    pub(super) async fn delete(self: Arc<Self>, id: InstanceId) -> Result<(), Refused> {
        let _turn = self.turn.lock().await;
        let row = self.register.row(id).ok_or_else(|| missing(id))?;
        if row.deleted_s.is_some() {
            return Ok(());
        }
        self.register.delete(id).await?;
        info!(instance = %id, "an instance is deleted");
        if let Some(house) = self.house.get() {
            house.give_up(id);
            house.leave(id);
        }
        self.end(id, End::LogOut).await;
        self.forget(&id.to_string());
        Ok(())
    }

    /// Opens one anew.
    pub(super) async fn reboot(self: Arc<Self>, id: InstanceId) -> Result<(), Refused> {
        let _turn = self.turn.lock().await;
        let row = self.register.row(id).filter(|row| row.deleted_s.is_none());
        let row = row.ok_or_else(|| missing(id))?;
        self.rests(id);
        self.end(id, End::Stop).await;
        self.begin(&row);
        self.until_open(id).await;
        Ok(())
    }

    /// Ends them all; they go on with the next start.
    pub(super) async fn stop(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, kept) in &kept {
            self.rests(*id);
            kept.ends.send(End::Stop).await.ok();
        }
        for (id, kept) in kept {
            kept.wait(id).await;
        }
    }

    async fn build(
        &self,
        row: &Row,
        token: &Token,
        settings: tgtrunk_messages::Settings,
    ) -> Result<(), Refused> {
        self.state.make_instances_dir().map_err(unwritten)?;
        self.state.begin_instance(row.id.get()).map_err(unwritten)?;
        let database = Database::open(self.state.instance_db(row.id.get())).await.map_err(unopened)?;
        let store = Store::open(database.pool().clone()).await?;
        store.found(row.id, &row.name, token, settings).await?;
        database.close().await;
        Ok(())
    }

    /// A number that no instance has or had.
    fn free_number(&self) -> Option<InstanceId> {
        let is_free = |id: &InstanceId| {
            !self.knows(*id) && self.house.get().is_none_or(|house| house.instance(*id).is_none())
        };
        (0..DRAWS).map(|_| InstanceId::random()).find(is_free)
    }

    fn begin(self: &Arc<Self>, row: &Row) {
        let Some(house) = self.house.get() else { return };
        let (ends, ended) = mpsc::channel(1);
        let (open, is_open) = watch::channel(false);
        let tenant = self.tenant(row, house, open);
        let span = info_span!("instance", id = %row.id);
        let task = tokio::spawn(tenant.run(ended).instrument(span));
        let kept = Kept { ends, is_open, task };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(row.id, kept);
    }

    fn tenant(&self, row: &Row, house: &House, is_open: watch::Sender<bool>) -> Tenant {
        let folder = self.state.instance_dir(row.id.get()).join("files");
        Tenant {
            id: row.id,
            options: self.terms.options(&row.name, folder),
            settings: Arc::clone(&self.terms.settings),
            state: self.state.clone(),
            house: house.clone(),
            register: Arc::clone(&self.register),
            is_open,
        }
    }

    /// It comes back: programs that call meanwhile hear that it is starting.
    fn rests(&self, id: InstanceId) {
        if let Some(house) = self.house.get() {
            house.rest(id);
        }
    }

    async fn until_open(&self, id: InstanceId) {
        if let Some(mut is_open) = self.openness(id) {
            timeout(OPENING, is_open.wait_for(|is_open| *is_open)).await.ok();
        }
    }

    fn openness(&self, id: InstanceId) -> Option<watch::Receiver<bool>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&id).map(|kept| kept.is_open.clone())
    }

    async fn end(&self, id: InstanceId, end: End) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(kept) = kept {
            kept.ends.send(end).await.ok();
            kept.wait(id).await;
        }
    }

    /// Goes on with a deletion that the end of the program broke off.
    async fn finish(self: Arc<Self>, row: Row) {
        info!(instance = %row.id, "an instance that was deleted is removed");
        if let Some(house) = self.house.get() {
            let tenant = self.tenant(&row, house, watch::Sender::new(false));
            let span = info_span!("instance", id = %row.id);
            if timeout(ENDING, tenant.depart().instrument(span)).await.is_err() {
                warn!(instance = %row.id, "the end of an instance took too long");
            }
        }
        self.forget(&row.id.to_string());
    }

    /// It is made.
    fn unmark(&self, id: InstanceId) {
        if let Err(error) = self.state.finish_instance(id.get()) {
            error!(instance = %id, "the mark of an instance that is made cannot be removed: {error}");
        }
    }

    fn forget(&self, folder: &str) {
        if let Err(error) = self.state.forget_instance(folder) {
            error!("the folder of an instance cannot be removed: {error}");
        }
    }
}

impl Kept {
    async fn wait(mut self, id: InstanceId) {
        if timeout(ENDING, &mut self.task).await.is_err() {
            warn!(instance = %id, "the end of an instance took too long");
            self.task.abort();
        }
    }
}

/// What a program hears where a new database cannot be opened.
fn unopened(error: DatabaseError) -> Refused {
    match error {
        DatabaseError::Io { source, .. } => source.into(),
        DatabaseError::Sql { source, .. } => source.into(),
        error @ DatabaseError::InUse { .. } => Refused::Storage(error.to_string()),
    }
}

fn missing(id: InstanceId) -> Refused {
    Refused::Missing(format!("there is no instance {id}"))
}
