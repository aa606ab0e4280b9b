//! Tells operators what needs them, and keeps whose the lines are.
//!
//! Operators are the lines' own accounts and those that `bot.toml` names. What was told is written together with the
//! messages that tell it, so that neither a crash nor a restart tells it twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tgtrunk_config::{BotFile, ClientStatus, Language, Phone, StateDir, TextKey, UserId, Words};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::bot::Desk;
use crate::clock;
use crate::languages::in_language;
use crate::notices::{Findings, Notice, Notices, Trouble};
use crate::store::{Letter, StoreError};

/// A pause ends without an event.
const LOOK: Duration = Duration::from_secs(1);

/// How often the clients' files are looked at, and how old what they tell may be.
const CLIENTS: Duration = Duration::from_secs(5);
const STALE: Duration = Duration::from_secs(30);

/// Watches the gateway and the clients until the task is dropped. Messages go to `letters`, already written.
///
/// # Errors
/// When what was told before cannot be read.
pub(crate) async fn watch(
    desk: Desk,
    file: BotFile,
    state: StateDir,
    letters: mpsc::Sender<Letter>,
) -> Result<(), StoreError> {
    let mut accounts = desk.store.accounts().await?;
    let mut notices = Notices::new(file.notice_after, desk.store.told().await?);
    let mut changes = desk.gateway.changes();
    let mut lines = desk.roster.clone();
    let (mut clients, mut looked) = (BTreeMap::new(), None::<Instant>);
    loop {
        let phones = lines.borrow_and_update().phones();
        let news = !phones.iter().all(|line| clients.contains_key(line));
        if news || looked.is_none_or(|looked| clock::now() >= looked + CLIENTS) {
            clients = look_at_clients(&state, &phones).await;
            looked = Some(clock::now());
        }
        let (standing, mut found, owners) = {
            let calls = changes.borrow_and_update();
            let found = Findings::of(&calls, &phones, clock::unix_ms());
            let owners: Vec<_> =
                phones.iter().filter_map(|line| Some((line.clone(), calls.account(line)?))).collect();
            (calls.standing(), found, owners)
        };
        for line in &phones {
            found.look_at_client(line, clients.get(line));
        }
        desk.lamps.lines(&phones);
        desk.lamps.gateway(standing);
        for (line, owner) in owners {
            if accounts.insert(line.clone(), owner) != Some(owner) {
                desk.kept(desk.store.own(&line, owner).await);
            }
        }
        notices.handle(found, &phones, clock::now());
        while let Some(notice) = notices.poll_notice().filter(|_| file.notices) {
            for letter in tell(&desk, &file, &accounts, &phones, &notice).await {
                letters.send(letter).await.ok();
            }
        }
        let soon = clock::now() + LOOK;
        let next = notices.poll_timeout().map_or(soon, |next: Instant| next.min(soon));
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            changed = lines.changed() => if changed.is_err() { return Ok(()) },
            () = sleep_until(next.into()) => {}
        }
    }
}

/// What the clients say of lines.
async fn look_at_clients(state: &StateDir, phones: &[Phone]) -> BTreeMap<Phone, ClientStatus> {
    let (state, phones, now_ms) = (state.clone(), phones.to_vec(), clock::unix_ms());
    let read = move || {
        let read = |line: Phone| (line.clone(), ClientStatus::read(&state, &line, now_ms, STALE));
        phones.into_iter().map(read).collect()
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

async fn tell(
    desk: &Desk,
    file: &BotFile,
    accounts: &BTreeMap<Phone, UserId>,
    phones: &[Phone],
    notice: &Notice,
) -> Vec<Letter> {
    let over = notice.reason.is_none();
    tracing::info!(trouble = notice.trouble.to_word().split(' ').next(), over, "operators are told");
    let own = phones.iter().filter_map(|line| accounts.get(line)).copied();
    let operators: BTreeSet<UserId> = own.chain(file.operators.iter().copied()).collect();
    let text = |operator: UserId| {
        let language = desk.languages.of(operator).unwrap_or(file.language);
        (operator, text(desk, phones, notice, language))
    };
    let letters: Vec<_> = operators.into_iter().map(text).collect();
    match desk.store.tell(&notice.trouble, over, &letters, clock::unix_ms()).await {
        Ok(letters) => letters,
        Err(error) => {
            tracing::error!(%error, "operators cannot be told");
            Vec::new()
        }
    }
}

/// A notice in words.
fn text(desk: &Desk, phones: &[Phone], notice: &Notice, language: Language) -> String {
    let roster = desk.roster();
    let served = match notice.trouble.line() {
        Some(line) => roster.line(line).cloned().unwrap_or_else(|| desk.voice()),
        None => desk.voice(),
    };
    let all = || phones.iter().map(Phone::as_str).collect::<Vec<_>>().join(", ");
    let line = notice.trouble.line().map_or_else(all, Phone::to_string);
    let until_ms = notice.reason.as_ref().and_then(|reason| reason.until_ms);
    let reason = match &notice.reason {
        Some(reason) => in_language(language, &reason.sentence),
        None => well(&notice.trouble, language).to_owned(),
    };
    let words = Words {
        company: served.chat.company.clone(),
        line,
        time: clock::time_of_day(until_ms.unwrap_or_else(clock::unix_ms)),
        reason,
        ..Words::default()
    };
    match key(notice) {
        Some(key) => served.texts.say(key, language, &words),
        None => of_client(&words, &notice.trouble, language),
    }
}

/// Which of the line's texts tells it, if one does.
fn key(notice: &Notice) -> Option<TextKey> {
    Some(match (&notice.reason, &notice.trouble) {
        (None, _) => TextKey::NoticeOver,
        (Some(_), Trouble::Gateway) => TextKey::NoticeGateway,
        (Some(_), Trouble::Red(_)) => TextKey::NoticeRed,
        (Some(_), Trouble::Pbx(_)) => TextKey::NoticePbx,
        (Some(_), Trouble::Flood(_)) => TextKey::NoticeFlood,
        (Some(_), Trouble::Client(_) | Trouble::Writing(_)) => return None,
    })
}

/// What is wrong with the client's part in a line.
fn of_client(Words { line, reason, .. }: &Words, trouble: &Trouble, language: Language) -> String {
    let told = match (matches!(trouble, Trouble::Client(_)), language) {
        (true, Language::Russian) => format!(
            "Линия {line}: программа, которая пишет звонящим, должна заново войти в аккаунт Telegram: tgtrunk-client login {line}."
        ),
        (true, Language::English) => format!(
            "Line {line}: what writes to callers needs a new login of the Telegram account: tgtrunk-client login {line}."
        ),
        (false, Language::Russian) => {
            format!("Линия {line}: Telegram ограничил сообщения аккаунта, клавиши и визитки не отправляются.")
        }
        (false, Language::English) => {
            format!("Line {line}: Telegram limits the account's messages, no keypads and cards are sent.")
        }
    };
    format!("{told}\n{reason}").trim_end().to_owned()
}

/// What is well again.
fn well(trouble: &Trouble, language: Language) -> &'static str {
    match (trouble, language) {
        (Trouble::Gateway, Language::Russian) => "Шлюз звонков работает.",
        (Trouble::Gateway, Language::English) => "The call gateway is running.",
        (Trouble::Red(_), Language::Russian) => "Вход в аккаунт Telegram выполнен.",
        (Trouble::Red(_), Language::English) => "The Telegram account is logged in.",
        (Trouble::Pbx(_), Language::Russian) => "АТС отвечает.",
        (Trouble::Pbx(_), Language::English) => "The PBX answers.",
        (Trouble::Flood(_), Language::Russian) => "Исходящие звонки снова возможны.",
        (Trouble::Flood(_), Language::English) => "Outgoing calls work again.",
        (Trouble::Client(_), Language::Russian) => "Вход для сообщений звонящим выполнен.",
        (Trouble::Client(_), Language::English) => "Callers can be written to: the client is logged in.",
        (Trouble::Writing(_), Language::Russian) => "Клавиши и визитки снова отправляются.",
        (Trouble::Writing(_), Language::English) => "Keypads and cards are sent again.",
    }
}
