//! Settings, lines, texts and bots as files; who may read and write them; room on the disk.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use tgtrunk_config::{Bots, Line, Lines, Said, StateDir, Texts, Trouble, too_open};

use super::finding::Findings;
use super::shown;

/// A database cannot grow, and logs cannot be written, long before nothing is left.
const TOO_LITTLE_MIB: u64 = 50;
const LITTLE_MIB: u64 = 500;

/// Looks at everything that lies on the disk; gives the lines that are well.
pub(super) fn look(found: &mut Findings, config: &Path, state: &StateDir) -> Vec<Line> {
    if !state.root().exists() {
        found.well(
            state_folder(),
            Said::new(
                format!("{} is not there yet: it is made when it is needed", shown(state.root())),
                format!("{} ещё нет: появится, когда понадобится", shown(state.root())),
            ),
        );
        return Vec::new();
    }
    look_at_rights(found, config, state);
    look_at_disk(found, state.root());
    let lines = look_at_lines(found, state);
    look_at_bots(found, state, &lines);
    lines
}

fn look_at_rights(found: &mut Findings, config: &Path, state: &StateDir) {
    let topic = || Said::new("rights", "права");
    let mut well = true;
    let open = state.too_open().unwrap_or_default();
    for open in too_open(config).into_iter().chain(open) {
        well = false;
        let (path, mode, wanted) = (shown(&open.path), open.mode, open.wanted);
        let ru = format!("{path} открыт другим пользователям (права {mode:04o}): chmod {wanted:o} {path}");
        found.warning(topic(), Said::new(open.to_string(), ru));
    }
    let trial = state.root().join(format!(".check-{}", std::process::id()));
    let written = fs::write(&trial, b"x");
    fs::remove_file(&trial).ok();
    if let Err(error) = written {
        well = false;
        let said = Trouble::of_file(&error, state.root())
            .map_or_else(|| Said::from(&format!("{}: {error}", shown(state.root()))), Said::from);
        found.fault(topic(), said);
    }
    if let Some(path) = of_somebody_else(state.root()) {
        well = false;
        found.fault(topic(), Trouble::NotAllowed { path });
    }
    if well {
        let root = shown(state.root());
        found
            .well(topic(), Said::new(format!("{root} is ours alone"), format!("{root} доступна только нам")));
    }
}

/// Something in the state directory whose owner is not the directory's: its programs cannot write it.
fn of_somebody_else(root: &Path) -> Option<PathBuf> {
    let owner = fs::metadata(root).ok()?.uid();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).ok()?.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.uid() != owner {
                return Some(entry.path());
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    None
}

fn look_at_disk(found: &mut Findings, root: &Path) {
    let topic = Said::new("disk", "диск");
    let free_mib = match statvfs(root) {
        Ok(room) => room.blocks_available().saturating_mul(room.fragment_size()) / (1024 * 1024),
        Err(error) => {
            let told = format!("{}: {error}", shown(root));
            return found.warning(topic, Said::from(&told));
        }
    };
    if free_mib < TOO_LITTLE_MIB {
        return found.fault(topic, Trouble::DiskFull { path: root.to_owned() });
    }
    let said = Said::new(
        format!("{free_mib} MiB free in {}", shown(root)),
        format!("свободно {free_mib} МиБ в {}", shown(root)),
    );
    if free_mib < LITTLE_MIB { found.warning(topic, said) } else { found.well(topic, said) }
}

fn look_at_lines(found: &mut Findings, state: &StateDir) -> Vec<Line> {
    let loaded = match Lines::load(state) {
        Ok(loaded) => loaded,
        Err(error) => {
            found.fault(state_folder(), Said::from(&error));
            return Vec::new();
        }
    };
    for problem in &loaded.problems {
        found.fault(Said::new("line", "линия"), Said::from(problem));
    }
    if loaded.lines.is_empty() && loaded.problems.is_empty() {
        found.warning(
            Said::new("lines", "линии"),
            Said::new(
                "no lines yet: add a number on the page, or by tgtrunk-gateway lines add",
                "линий пока нет: добавьте номер на странице или командой tgtrunk-gateway lines add",
            ),
        );
    }
    for line in &loaded.lines {
        let topic = line_topic(line);
        let mut well = true;
        for problem in &Texts::load(state, &line.phone).err().unwrap_or_default() {
            well = false;
            found.warning(topic.clone(), Said::from(problem));
        }
        if well {
            let (port, pbx) = (line.sip_port, &line.pbx);
            found
                .well(topic, Said::new(format!("port {port}, PBX {pbx}"), format!("порт {port}, АТС {pbx}")));
        }
    }
    loaded.lines
}

fn look_at_bots(found: &mut Findings, state: &StateDir, lines: &[Line]) {
    let loaded = match Bots::load(state) {
        Ok(loaded) => loaded,
        Err(error) => return found.warning(Said::new("bots", "боты"), Said::from(&error)),
    };
    for problem in &loaded.problems {
        found.warning(Said::new("bot", "бот"), Said::from(problem));
    }
    for line in lines {
        let Some(bot) = &line.chat.bot else { continue };
        if !loaded.bots.iter().any(|(name, _)| name == bot) {
            found.warning(
                line_topic(line),
                Said::new(
                    format!("there is no bot @{bot}: add it on the page, or by tgtrunk-bot add"),
                    format!("бота @{bot} нет: добавьте его на странице или командой tgtrunk-bot add"),
                ),
            );
        }
    }
}

pub(super) fn line_topic(line: &Line) -> Said {
    Said::new(line.phone.to_string(), line.phone.to_string())
}

fn state_folder() -> Said {
    Said::new("state", "состояние")
}
