//! Whether the installation is well: programs, disk, clock. `/health` says it in a word to anybody, the page in sentences.

use chrono::{Datelike as _, Local, TimeZone as _};
use nix::sys::statvfs::statvfs;
use tgtrunk_config::control::Found;
use tgtrunk_config::{Said, StateDir, StateError, Trouble};
use tgtrunk_shell::health;

use super::hub::Snapshot;
use super::model::{Health, Part};
use super::office::{Office, absent, program};
use crate::clock::unix_ms;

/// Free space that sessions and records need, in MiB.
const LEAST_FREE_MIB: u64 = 200;
/// No clock of a machine that runs this shows an earlier year.
const EARLIEST_YEAR: i32 = 2025;

impl Office {
    /// What was looked at, and how it is.
    pub(crate) async fn health(&self, snapshot: &Snapshot) -> Vec<Health> {
        let trouble = self.trouble.borrow().first().cloned();
        let of_program = |part| match &trouble {
            // It waits, and serves this page.
            Some(said) if part == Part::Client => {
                Health { name: name(part), found: Found::Bad, said: said.clone() }
            }
            _ => of_program(snapshot, part),
        };
        let mut found: Vec<Health> = Part::ALL.into_iter().map(of_program).collect();
        let look = async || {
            let state = self.state.clone();
            let looked = tokio::task::spawn_blocking(move || vec![space(&state), writable(&state)]).await;
            looked.unwrap_or_default()
        };
        found.extend(self.disk(look).await);
        found.push(clock(unix_ms(), snapshot.all_problems()));
        found
    }

    /// Whether calls can be made here, as far as the page knows.
    pub(crate) async fn is_well(&self) -> bool {
        let snapshot = self.hub.snapshot();
        let needed = |health: &Health| health.name.en != program(Part::Bot);
        let all = self.health(&snapshot).await;
        self.trouble.borrow().is_empty()
            && all.iter().filter(|health| needed(health)).all(|health| health.found == Found::Good)
    }
}

fn of_program(snapshot: &Snapshot, part: Part) -> Health {
    let (side, name) = (snapshot.side(part), name(part));
    if !side.is_up && part == Part::Bot && !snapshot.has_bots() {
        let said = Said::new("Not needed: no line has a bot.", "Не нужна: ни у одной линии нет бота.");
        return Health { name, found: Found::Unknown, said };
    }
    if !side.is_up {
        return Health { name, found: Found::Bad, said: absent(part) };
    }
    match side.problems.first() {
        None => Health { name, found: Found::Good, said: Said::new("Runs.", "Работает.") },
        Some(problem) => Health { name, found: Found::Bad, said: problem.clone() },
    }
}

fn name(part: Part) -> Said {
    Said::new(program(part), program(part))
}

fn space(state: &StateDir) -> Health {
    let (root, name) = (state.root(), Said::new("Disk", "Диск"));
    if let Some(full @ (Trouble::DiskFull { .. } | Trouble::NoFilesLeft { .. })) = health::of_state(state) {
        return Health { name, found: Found::Bad, said: full.into() };
    }
    let Ok(disk) = statvfs(root) else {
        let said = Said::new(
            format!("The free space of {} cannot be read.", root.display()),
            format!("Не удалось узнать, сколько места свободно в {}.", root.display()),
        );
        return Health { name, found: Found::Unknown, said };
    };
    let free_mib = disk.blocks_available().saturating_mul(disk.fragment_size()) / (1024 * 1024);
    let is_enough = free_mib >= LEAST_FREE_MIB;
    let said = if free_mib >= 10 * 1024 {
        let free_gib = free_mib / 1024;
        Said::new(format!("{free_gib} GiB are free."), format!("Свободно {free_gib} ГиБ."))
    } else if is_enough {
        Said::new(format!("{free_mib} MiB are free."), format!("Свободно {free_mib} МиБ."))
    } else {
        Said::new(
            format!("Only {free_mib} MiB are free in {}: make room.", root.display()),
            format!("В {} свободно всего {free_mib} МиБ: освободите место.", root.display()),
        )
    };
    Health { name, found: if is_enough { Found::Good } else { Found::Bad }, said }
}

fn writable(state: &StateDir) -> Health {
    let name = Said::new("State directory", "Каталог состояния");
    let probe = state.root().join(".page-probe");
    let written = state.publish(&probe, b"x");
    std::fs::remove_file(&probe).ok();
    match written {
        Ok(()) => {
            Health {
                name, found: Found::Good, said: Said::new("Can be written.", "Доступен для записи.")
            }
        }
        Err(error) => Health { name, found: Found::Bad, said: unwritable(state, &error) },
    }
}

/// What is said of a state directory that cannot be written: what all programs say of it, where they have a word for it.
pub(crate) fn unwritable(state: &StateDir, error: &StateError) -> Said {
    let known = match error {
        StateError::Io { source, .. } => Trouble::of_file(source, state.root()),
        StateError::Locked { .. } | StateError::SocketPath { .. } => None,
    };
    if let Some(trouble) = health::of_state(state).or(known) {
        return trouble.into();
    }
    Said::from(error).within(
        |error| {
            format!(
                "The state directory cannot be used: {error}. Mend its permissions or make room, and it goes on by itself."
            )
        },
        |error| {
            format!(
                "Каталог состояния недоступен: {error}. Исправьте права или освободите место, и работа продолжится сама."
            )
        },
    )
}

/// `problems` are those that programs tell: the gateway compares the clock with Telegram's.
fn clock<'p>(now_ms: u64, mut problems: impl Iterator<Item = &'p Said>) -> Health {
    let name = Said::new("Clock", "Часы");
    if let Some(said) = problems.find(|said| Trouble::is_clock(said)) {
        return Health { name, found: Found::Bad, said: said.clone() };
    }
    let time = i64::try_from(now_ms).ok().and_then(|ms| Local.timestamp_millis_opt(ms).single());
    match time {
        Some(time) if time.year() >= EARLIEST_YEAR => {
            let shown = time.format("%Y-%m-%d %H:%M %:z").to_string();
            Health { name, found: Found::Good, said: Said::new(shown.clone(), shown) }
        }
        _ => {
            let said = Said::new(
                "The clock of this machine is wrong: set it (timedatectl set-ntp true).",
                "Часы этой машины идут неверно: установите их (timedatectl set-ntp true).",
            );
            Health { name, found: Found::Bad, said }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_long_ago_is_told_with_its_remedy() {
        assert_eq!(clock(unix_ms(), [].iter()).found, Found::Good);
        let wrong = clock(86_400_000, [].iter());
        assert_eq!(wrong.found, Found::Bad);
        assert!(wrong.said.en.contains("timedatectl"));
        let told = Said::from(Trouble::ClockWrong { ahead_s: 90 });
        let wrong = clock(unix_ms(), [Said::from("x"), told.clone()].iter());
        assert_eq!((wrong.found, wrong.said), (Found::Bad, told));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told() {
        let room = tempfile::tempdir().unwrap();
        assert_eq!(writable(&StateDir::at(room.path())).found, Found::Good);
        let wrong = writable(&StateDir::at(room.path().join("nowhere")));
        assert_eq!(wrong.found, Found::Bad);
        assert!(wrong.said.en.starts_with("The state directory cannot be used: cannot write "));
    }
}
