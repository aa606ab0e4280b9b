//! The register of the instances that a partner's program made: which there are, which were, and whose accounts they are.
//!
//! It says what holds: a folder that it calls deleted is to be removed, one that it does not know is left alone, unless it is
//! marked as one that was never finished.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tgtrunk_config::{Phone, Said, StateDir, StateError};
use tgtrunk_messages::{Former, InstanceId, Refused};
use tokio::task::spawn_blocking;
use tracing::error;

use crate::clock;

/// How long an instance that was deleted is remembered, in seconds.
const MEMORY_S: i64 = 30 * 24 * 3600;

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: InstanceId,
    pub(super) name: String,
    pub(super) created_s: i64,
    /// Whose account was logged in first, and is the only one since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) phone: Option<Phone>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted_s: Option<i64>,
}

/// All of them.
pub(super) struct Register {
    state: StateDir,
    rows: Mutex<Vec<Row>>,
    /// Whoever writes it down holds it.
    turn: Mutex<()>,
    /// Why nobody knows what there is.
    problem: Option<Said>,
}

impl Register {
    /// Reads the register; where it cannot be read, or is missed, nothing is made and nothing removed.
    pub(super) fn open(state: &StateDir) -> Self {
        let file = state.instances_file();
        let told = |cause: &dyn std::fmt::Display| {
            let file = file.display();
            Said::new(
                format!(
                    "{file}: {cause}: the instances of partners do not run. Mend the file, or remove it and they are forgotten."
                ),
                format!(
                    "{file}: {cause}: инстансы партнёров не работают. Исправьте файл или удалите его, тогда они будут забыты."
                ),
            )
        };
        let (rows, problem) = match std::fs::read(&file) {
            Ok(text) => match serde_json::from_slice::<Vec<Row>>(&text) {
                Ok(rows) => (rows, None),
                Err(error) => (Vec::new(), Some(told(&error))),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => (Vec::new(), missed(state)),
            Err(error) => (Vec::new(), Some(told(&error))),
        };
        Self { state: state.clone(), rows: Mutex::new(rows), turn: Mutex::default(), problem }
    }

    /// Why it cannot be used.
    pub(super) fn problem(&self) -> Option<&Said> {
        self.problem.as_ref()
    }

    /// Those that are not deleted.
    pub(super) fn live(&self) -> Vec<Row> {
        self.rows().iter().filter(|row| row.deleted_s.is_none()).cloned().collect()
    }

    /// Those that were deleted lately.
    pub(super) fn former(&self) -> Vec<Former> {
        let since_s = clock::unix_s() - MEMORY_S;
        let rows = self.rows();
        let gone = rows.iter().filter_map(|row| {
            let deleted_s = row.deleted_s.filter(|deleted_s| *deleted_s >= since_s)?;
            Some(Former { id: row.id, name: row.name.clone(), created_s: row.created_s, deleted_s })
        });
        gone.collect()
    }

    /// An instance, deleted or not.
    pub(super) fn row(&self, id: InstanceId) -> Option<Row> {
        self.rows().iter().find(|row| row.id == id).cloned()
    }

    /// An instance is made.
    pub(super) async fn add(self: &Arc<Self>, row: Row) -> Result<(), Refused> {
        self.change(|rows| rows.push(row)).await
    }

    /// An account was logged in for the first time.
    pub(super) async fn bind(self: &Arc<Self>, id: InstanceId, phone: Phone) -> Result<(), Refused> {
        self.change(move |rows| {
            for row in rows.iter_mut().filter(|row| row.id == id && row.phone.is_none()) {
                row.phone = Some(phone.clone());
            }
        })
        .await
    }

    /// An instance is deleted.
    pub(super) async fn delete(self: &Arc<Self>, id: InstanceId) -> Result<(), Refused> {
        self.change(move |rows| {
            for row in rows.iter_mut().filter(|row| row.id == id) {
                row.deleted_s = Some(clock::unix_s());
            }
        })
        .await
    }

    /// What is changed is on the disk when this returns. Nobody else waits for the disk meanwhile.
    async fn change(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Vec<Row>) + Send + 'static,
    ) -> Result<(), Refused> {
        let register = Arc::clone(self);
        let written = spawn_blocking(move || register.write(change)).await;
        written.unwrap_or_else(|error| Err(Refused::Storage(error.to_string())))
    }

    fn write(&self, change: impl FnOnce(&mut Vec<Row>)) -> Result<(), Refused> {
        if let Some(problem) = &self.problem {
            return Err(Refused::Storage(problem.en.clone()));
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = self.rows().clone();
        let mut changed = rows.clone();
        change(&mut changed);
        let since_s = clock::unix_s() - MEMORY_S;
        changed.retain(|row| row.deleted_s.is_none_or(|deleted_s| deleted_s >= since_s));
        if changed == rows {
            return Ok(());
        }
        let text =
            serde_json::to_vec_pretty(&changed).map_err(|error| Refused::Storage(error.to_string()))?;
        let write = || {
            self.state.make_instances_dir()?;
            self.state.replace(&self.state.instances_file(), &text)
        };
        write().map_err(|error| {
            error!("the register of instances cannot be written: {error}");
            unwritten(error)
        })?;
        *self.rows() = changed;
        Ok(())
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a program hears of what the file system does not take.
pub(super) fn unwritten(error: StateError) -> Refused {
    match error {
        StateError::Io { source, .. } => source.into(),
        error => Refused::Storage(error.to_string()),
    }
}

/// Why there should be a register, where there is none.
fn missed(state: &StateDir) -> Option<Said> {
    let folders = match state.instance_folders() {
        Ok(folders) => folders,
        Err(error) => return Some(Said::from(&error)),
    };
    let is_one =
        |folder: &String| folder.parse::<InstanceId>().is_ok() && !state.is_unfinished_instance(folder);
    let folder = folders.into_iter().find(is_one)?;
    let (dir, file) = (state.instances_dir(), state.instances_file());
    let (dir, file) = (dir.display(), file.display());
    Some(Said::new(
        format!(
            "{file} is missing, and {dir}/{folder} is there: the instances of partners do not run. Put the file back from a backup, or move the folders of the instances away."
        ),
        format!(
            "{file} нет, а {dir}/{folder} есть: инстансы партнёров не работают. Верните файл из резервной копии или уберите папки инстансов."
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_written_is_read_again_and_the_first_account_stays() {
        let (_room, state) = state();
        let (first, second) = (id(4_100_000_001), id(4_100_000_002));
        let register = open(&state);
        for id in [first, second] {
            register.add(row(id)).await.unwrap();
        }
        register.bind(first, "+79060000000".parse().unwrap()).await.unwrap();
        register.bind(first, "+79060000001".parse().unwrap()).await.unwrap();
        register.delete(second).await.unwrap();
        let register = open(&state);
        assert_eq!(register.problem(), None);
        let live = register.live();
        assert_eq!(live.iter().map(|row| row.id).collect::<Vec<_>>(), [first]);
        assert_eq!(live[0].phone.as_ref().unwrap().as_str(), "+79060000000");
        assert_eq!(register.former()[0].id, second);
        assert!(register.row(second).unwrap().deleted_s.is_some());
    }

    #[tokio::test]
    async fn a_deleted_instance_is_forgotten_after_a_month() {
        let (_room, state) = state();
        let register = open(&state);
        let long_ago = clock::unix_s() - MEMORY_S - 1;
        register.add(Row { deleted_s: Some(long_ago), ..row(id(4_100_000_001)) }).await.unwrap();
        assert_eq!((register.former(), register.row(id(4_100_000_001))), (Vec::new(), None));
    }

    #[tokio::test]
    async fn a_register_that_cannot_be_read_is_left_as_it_is() {
        let (_room, state) = state();
        state.make_instances_dir().unwrap();
        state.replace(&state.instances_file(), b"[{").unwrap();
        let register = open(&state);
        assert!(register.problem().unwrap().en.contains("register.json"));
        assert!(matches!(register.add(row(id(4_100_000_001))).await, Err(Refused::Storage(_))));
        assert_eq!(std::fs::read(state.instances_file()).unwrap(), b"[{");
    }

    #[tokio::test]
    async fn a_register_that_is_missed_is_not_begun_anew() {
        let (_room, state) = state();
        state.begin_instance(4_100_000_001).unwrap();
        assert_eq!(open(&state).problem(), None, "the first one was never finished");
        state.make_instance_dir(4_100_000_002).unwrap();
        state.replace(&state.instance_db(4_100_000_002), b"x").unwrap();
        let register = open(&state);
        let problem = register.problem().unwrap();
        assert!(problem.en.contains("4100000002 is there") && problem.ru.contains("4100000002 есть"));
        assert!(matches!(register.add(row(id(4_100_000_003))).await, Err(Refused::Storage(_))));
        assert!(!state.instances_file().exists());
    }

    fn open(state: &StateDir) -> Arc<Register> {
        Arc::new(Register::open(state))
    }

    fn row(id: InstanceId) -> Row {
        Row { id, name: "shop".to_owned(), created_s: clock::unix_s(), phone: None, deleted_s: None }
    }

    fn id(number: i64) -> InstanceId {
        InstanceId::new(number).unwrap()
    }

    fn state() -> (tempfile::TempDir, StateDir) {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        (room, state)
    }
}
