//! Tells operators when the disk has no room for files of messages.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tgtrunk_config::Said;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(10);

/// Looks until it is dropped.
pub(super) async fn watch(folder: PathBuf, reserve_mb: u32, tell: watch::Sender<Option<Said>>) {
    loop {
        let free_mb = statvfs(&folder).map_or(u64::MAX, |found| {
            found.blocks_available().saturating_mul(found.fragment_size()) / (1024 * 1024)
        });
        let said = problem(&folder.display().to_string(), free_mb, reserve_mb);
        if let Some(said) = &said
            && tell.borrow().is_none()
        {
            tracing::error!("{}", said.in_language(tgtrunk_shell::language()));
        }
        tell.send_if_modified(|told| {
            let is_other = *told != said;
            *told = said;
            is_other
        });
        sleep(LOOK).await;
    }
}

fn problem(folder: &str, free_mb: u64, reserve_mb: u32) -> Option<Said> {
    let reserve_mb = u64::from(reserve_mb);
    if free_mb >= reserve_mb {
        return None;
    }
    let lost = if free_mb >= reserve_mb / 2 {
        ["files of messages are not kept", "файлы сообщений не сохраняются"]
    } else {
        [
            "neither files nor texts of messages are kept, the queues alone work",
            "не сохраняются ни файлы, ни тексты сообщений, работают только очереди",
        ]
    };
    let [en, ru] = lost;
    Some(Said::new(
        format!(
            "Less than {reserve_mb} MB are free in {folder}: {en}. Make room, or lower disk_reserve_mb in [api]."
        ),
        format!(
            "В {folder} свободно меньше {reserve_mb} МБ: {ru}. Освободите место или уменьшите disk_reserve_mb в [api]."
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_said_with_the_remedy() {
        assert_eq!(problem("/x", 200, 200), None);
        let said = problem("/x", 199, 200).unwrap();
        assert!(said.en.contains("files of messages are not kept. Make room"), "{said}");
        assert!(said.ru.contains("В /x свободно меньше 200 МБ"), "{said}");
        assert!(problem("/x", 99, 200).unwrap().en.contains("the queues alone work"));
        assert_eq!(problem("/x", 0, 0), None);
    }
}
