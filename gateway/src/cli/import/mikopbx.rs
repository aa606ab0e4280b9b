//! MikoPBX's module Telegram provider: its SQLite table `m_ModuleTelegramProvider`, a row a number, and beside it the
//! `settings.ini` that it made for each tg2sip.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tgtrunk_config::Said;

use super::former::{Former, FormerLine};
use super::tg2sip;

const TABLE: &str = "SELECT id, api_id, api_hash, phone_number, botId, businessCardText, keyboardText, autoAnswerText, \
                     callbackQueue, disable FROM m_ModuleTelegramProvider ORDER BY priority, id";
/// The port of row 1 is one more.
const FIRST_PORT: u16 = 30_000;
/// Where the PBX is: on the same machine.
const PBX: &str = "127.0.0.1:5060";

/// Reads the module's database.
///
/// # Errors
/// When there is none, or it is another one.
pub(super) async fn read(place: &Path) -> anyhow::Result<Former> {
    let file = database(place)?;
    let options = SqliteConnectOptions::new().filename(&file).read_only(true).disable_statement_logging();
    let mut connection = options.connect().await.with_context(|| file.display().to_string())?;
    let rows = sqlx::query(TABLE).fetch_all(&mut connection).await;
    connection.close().await.ok();
    let rows = rows.with_context(|| format!("{} is not the module's database", file.display()))?;
    let mut former = Former {
        left: vec![Said::new(
            "Telegram sessions cannot be taken over: log each number in once, on the page or by tgtrunk-gateway login",
            "сессии Telegram перенести нельзя: войдите каждым номером один раз, на странице или командой tgtrunk-gateway login",
        )],
        ..Former::default()
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    for row in &rows {
        take(row, folder, &mut former);
    }
    Ok(former)
}

fn take(row: &SqliteRow, folder: &Path, former: &mut Former) {
    let id = number(row, "id");
    let phone = text(row, "phone_number");
    let Some(phone) = tg2sip::number(&phone) else {
        former.left.push(Said::new(
            format!("row {id}: {phone:?} is no phone number: left out"),
            format!("строка {id}: {phone:?} не номер телефона: пропущена"),
        ));
        return;
    };
    let (api_id, api_hash) = (text(row, "api_id"), text(row, "api_hash"));
    if former.application.is_none() {
        former.application = tg2sip::application(Some(&api_id), Some(&api_hash));
    }
    let mut line = FormerLine::new(phone, pbx(folder, &text(row, "phone_number")));
    line.enabled = number(row, "disable") == 0;
    line.sip_port = u16::try_from(id).ok().and_then(|id| FIRST_PORT.checked_add(id));
    line.call_back = text(row, "callbackQueue");
    let token = text(row, "botId");
    line.token = token.parse().ok();
    if line.token.is_none() && !token.is_empty() {
        former.left.push(Said::new(
            format!("{}: what stands for its bot is no token: add the bot on the page", line.phone),
            format!("{}: вместо токена бота записано другое: добавьте бота на странице", line.phone),
        ));
    }
    for (column, key) in
        [("keyboardText", "keypad"), ("businessCardText", "card"), ("autoAnswerText", "auto_answer")]
    {
        let text = text(row, column);
        if !text.is_empty() {
            line.texts.push((key, text));
        }
    }
    former.lines.push(line);
}

/// Where the PBX's SIP is, as the module told its tg2sip.
fn pbx(folder: &Path, phone: &str) -> String {
    let file = folder.join(phone).join("settings.ini");
    let keys = std::fs::read_to_string(file).map(|text| tg2sip::keys(&text)).unwrap_or_default();
    keys.get("sip.callback_uri").and_then(|uri| tg2sip::host(uri)).unwrap_or_else(|| PBX.to_owned())
}

/// The database: the file itself, or the one in the module's folder.
fn database(place: &Path) -> anyhow::Result<PathBuf> {
    if place.is_file() {
        return Ok(place.to_owned());
    }
    for folder in [place.join("db"), place.to_owned()] {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.is_file() && file.extension().is_some_and(|end| end == "db"));
        files.sort();
        // Where there are several, the module's own is called so.
        if let Some(file) = files.iter().find(|file| file.ends_with("module.db")).or(files.first()) {
            return Ok(file.clone());
        }
    }
    bail!("{}: no database of the module is there (db/module.db)", place.display())
}

/// SQLite keeps what it was given: a text column may hold a number.
fn text(row: &SqliteRow, column: &str) -> String {
    let text = row.try_get_unchecked::<Option<String>, _>(column).ok().flatten();
    text.unwrap_or_default().trim().to_owned()
}

fn number(row: &SqliteRow, column: &str) -> i64 {
    let number = row.try_get_unchecked::<Option<i64>, _>(column).ok().flatten();
    number.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_become_lines_with_their_ports_texts_and_bots() {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("db");
        std::fs::create_dir_all(folder.join("79060000001")).unwrap();
        let ini = "[sip]\ncallback_uri=sip:79060000001@127.0.0.1:5070\n";
        std::fs::write(folder.join("79060000001/settings.ini"), ini).unwrap();
        write(&folder.join("module.db")).await;

        let former = read(room.path()).await.unwrap();
        assert_eq!(former.application.as_ref().unwrap().api_id, 12345);
        let [first, second] = former.lines.as_slice() else { panic!("{:?}", former.lines) };
        assert_eq!(
            (first.phone.as_str(), first.sip_port, first.enabled),
            ("+79060000001", Some(30001), true)
        );
        assert_eq!((first.pbx.as_str(), first.call_back.as_str()), ("127.0.0.1:5070", "2001"));
        assert_eq!(first.texts, [("keypad", "Введите номер".to_owned())]);
        assert!(first.token.is_some());
        assert_eq!((second.sip_port, second.enabled, second.pbx.as_str()), (Some(30003), false, PBX));
        let left: Vec<&str> = former.left.iter().map(|said| said.en.as_str()).collect();
        assert!(left.iter().any(|said| said.starts_with("row 2: \"none\" is no phone number")), "{left:?}");
    }

    #[tokio::test]
    async fn another_database_and_an_empty_folder_are_told() {
        let room = tempfile::tempdir().unwrap();
        let told = read(room.path()).await.unwrap_err().to_string();
        assert!(told.contains("no database of the module"), "{told}");
        std::fs::write(room.path().join("other.db"), b"").unwrap();
        let told = read(room.path()).await.unwrap_err().to_string();
        assert!(told.contains("is not the module's database"), "{told}");
    }

    async fn write(file: &Path) {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        let table = "CREATE TABLE m_ModuleTelegramProvider (id INTEGER PRIMARY KEY, api_id TEXT, api_hash TEXT, phone_number TEXT, businessCardText TEXT, keyboardText TEXT, autoAnswerText TEXT, callbackQueue TEXT, priority INTEGER, disable INTEGER, botId TEXT)";
        sqlx::query(table).execute(&mut connection).await.unwrap();
        for values in [
            "(1, '12345', '0123456789abcdef0123456789abcdef', '79060000001', '', 'Введите номер', NULL, '2001', 0, '0', '123456789:AAExampleExampleExampleExample-12345')",
            "(2, '12345', '', 'none', '', '', '', '', 1, 0, '')",
            "(3, '12345', '', '+7 906 000-00-03', '', '', '', '', 2, 1, '')",
        ] {
            let insert = format!(
                "INSERT INTO m_ModuleTelegramProvider (id, api_id, api_hash, phone_number, businessCardText, keyboardText, autoAnswerText, callbackQueue, priority, disable, botId) VALUES {values}"
            );
            sqlx::query(sqlx::AssertSqlSafe(insert)).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    }
}
