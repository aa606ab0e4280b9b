//! `check`: whether every bot would work, without running one.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask};
use tgtrunk_config::{BotFile, BotName, BotStatus, Bots, Lamp, Language, Said, Settings, StateDir, too_open};
use tgtrunk_shell::asking;
use tgtrunk_shell::keyboard::say;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ask;
use crate::admission;
use crate::roster::{Roster, Rosters};
use crate::telegram::{Api, Failure, Profile};

/// How long the gateway and the programs' own port may think.
const PATIENCE: Duration = Duration::from_secs(3);

/// Prints what is well and what is wrong. The exit code is 0 when nothing is wrong.
pub(crate) async fn run(config: &Path, settings: &Settings, state: &StateDir) -> ExitCode {
    let mut told = Told { well: true, language: tgtrunk_shell::language() };
    if let Some(open) = too_open(config) {
        told.wrong(open.to_string());
    }
    match state.too_open() {
        Ok(files) => files.iter().for_each(|open| told.wrong(open.to_string())),
        Err(error) => told.wrong(&error),
    }
    let at_work = match ask::runs(state).await {
        true => Some(ask::at_work(state).await),
        false => None,
    };
    match (Bots::load(state), Rosters::load(state, |_| None)) {
        (Ok(bots), Ok(rosters)) => {
            bots.problems.iter().for_each(|problem| told.wrong(problem));
            rosters.problems.into_iter().for_each(|problem| told.wrong(problem));
            for (bot, roster) in &rosters.of {
                if !bots.bots.iter().any(|(known, _)| known == bot) {
                    let lines = phones(roster);
                    told.wrong(Said::new(
                        format!("{lines}: there is no bot @{bot}: tgtrunk-bot add"),
                        format!("{lines}: бота @{bot} нет: tgtrunk-bot add"),
                    ));
                }
            }
            if bots.bots.is_empty() {
                told.fine(ask::no_bots());
            }
            for (bot, file) in &bots.bots {
                look_at(settings, (bot, file), rosters.of.get(bot), at_work.as_deref(), &mut told).await;
            }
        }
        (Err(error), _) | (_, Err(error)) => told.wrong(&error),
    }
    if let Some(listen) = settings.bot.api.listen {
        look_at_programs(listen, at_work.is_some(), &mut told).await;
    }
    match timeout(PATIENCE, asking::ask(&state.gateway_socket(), Ask::Status)).await {
        Ok(Ok(Answer::Status(report))) => {
            let lines = report.lines.len();
            told.fine(Said::new(
                format!("the gateway answers, lines: {lines}"),
                format!("шлюз отвечает, линий: {lines}"),
            ));
        }
        Ok(Ok(_)) | Err(_) => {
            told.wrong(Said::new("the gateway does not answer", "шлюз не отвечает"));
        }
        Ok(Err(_)) => told.wrong(Said::new(
            "the gateway does not run: keys that people press reach no call",
            "шлюз не запущен: нажатия клавиш не доходят до разговоров",
        )),
    }
    let end = match told.well {
        true => Said::new("all is well", "всё в порядке"),
        false => Said::new("not all is well", "не всё в порядке"),
    };
    told.fine(end);
    if told.well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Told {
    well: bool,
    language: Language,
}

impl Told {
    fn fine(&self, sentence: Said) {
        say(sentence.in_language(self.language));
    }

    fn wrong(&mut self, sentence: impl Into<Said>) {
        self.well = false;
        say(sentence.into().in_language(self.language));
    }

    /// The same of a bot.
    fn amiss(&mut self, bot: &BotName, sentence: &Said) {
        self.wrong(of(bot, sentence));
    }
}

/// A sentence about a bot.
fn of(bot: &BotName, sentence: &Said) -> Said {
    sentence.within(|en| format!("@{bot}: {en}"), |ru| format!("@{bot}: {ru}"))
}

/// `at_work` are the bots of the program that runs, if one does.
async fn look_at(
    settings: &Settings,
    (bot, file): (&BotName, &BotFile),
    roster: Option<&Roster>,
    at_work: Option<&[BotStatus]>,
    told: &mut Told,
) {
    let lines = match roster.map(phones) {
        Some(lines) => Said::new(format!("lines {lines}"), format!("линии {lines}")),
        None => Said::new(
            format!("no line uses it (bot = \"{bot}\" in a line.toml)"),
            format!("ни одна линия его не использует (bot = \"{bot}\" в line.toml)"),
        ),
    };
    told.fine(of(bot, &lines));
    let api = match admission::api(settings, &file.token) {
        Ok(api) => api,
        Err(error) => return told.amiss(bot, &format!("{error:#}").into()),
    };
    match api.profile().await {
        Ok(profile) => {
            if profile.username.parse::<BotName>().ok().as_ref() != Some(bot) {
                let other = &profile.username;
                let said = Said::new(
                    format!("its token is one of @{other}"),
                    format!("его токен принадлежит боту @{other}"),
                );
                told.amiss(bot, &said);
            } else {
                look_at_work(bot, &profile, at_work, told);
            }
            if !profile.inline {
                told.amiss(bot, &admission::inline_off());
            }
        }
        Err(failure) => return told.amiss(bot, &failure.said()),
    }
    look_at_updates(settings, &api, bot, at_work.is_some(), told).await;
}

/// Whether the bot of a good token works here.
fn look_at_work(bot: &BotName, profile: &Profile, at_work: Option<&[BotStatus]>, told: &mut Told) {
    let known = Said::new(
        format!("Telegram knows its token: {} (id {})", profile.name, profile.id),
        format!("Telegram знает его токен: {} (id {})", profile.name, profile.id),
    );
    let status = at_work.and_then(|all| all.iter().find(|status| status.bot == *bot));
    let here = match (at_work, status) {
        (None, _) => {
            Said::new("it is not at work here: tgtrunk-bot run", "здесь он не запущен: tgtrunk-bot run")
        }
        (Some(_), None) => Said::new(
            "the program that runs here does not have it: tgtrunk-bot reload",
            "у запущенной здесь программы его нет: tgtrunk-bot reload",
        ),
        (Some(_), Some(status)) if status.telegram.lamp == Lamp::Green => {
            Said::new("it works here", "здесь он работает")
        }
        (Some(_), Some(status)) => Said::new(&*status.telegram.reason, &*status.telegram.reason_ru).within(
            |en| format!("it does not work here now: {en}"),
            |ru| format!("здесь он сейчас не работает: {ru}"),
        ),
    };
    let is_well = at_work.is_none() || status.is_some_and(|status| status.telegram.lamp == Lamp::Green);
    let whole = of(bot, &Said::listed(&[known, here], "; "));
    if is_well { told.fine(whole) } else { told.wrong(whole) }
}

/// Whether other programs are served.
async fn look_at_programs(listen: SocketAddr, runs: bool, told: &mut Told) {
    let place = format!("http://{listen}");
    let is_open = matches!(timeout(PATIENCE, TcpStream::connect(listen)).await, Ok(Ok(_)));
    match (runs, is_open) {
        (false, _) => told.fine(Said::new(
            format!("other programs are served at {place} when this program runs"),
            format!("другим программам по адресу {place} отвечает tgtrunk-bot, когда он запущен"),
        )),
        (true, true) => told.fine(Said::new(
            format!("other programs are served at {place} (tokens: tgtrunk-bot api-token make)"),
            format!("другие программы обслуживаются по адресу {place} (токены: tgtrunk-bot api-token make)"),
        )),
        (true, false) => told.wrong(Said::new(
            format!("nothing answers other programs at {place}: listen of [bot.api] in tgtrunk.toml"),
            format!("другим программам по адресу {place} никто не отвечает: listen в разделе [bot.api] файла tgtrunk.toml"),
        )),
    }
}

/// Whether updates reach us, and nobody else.
async fn look_at_updates(settings: &Settings, api: &Api, bot: &BotName, runs: bool, told: &mut Told) {
    let state = match api.webhook_state().await {
        Ok(state) => state,
        Err(failure) => return told.amiss(bot, &failure.said()),
    };
    let ours = settings.bot.webhook.as_ref().map(|webhook| format!("{}/{}", webhook.url, bot.folder()));
    match (&ours, state.url.as_str()) {
        (None, "") => {}
        (Some(ours), url) if url == ours => {}
        (None, url) => {
            let said = Said::new(
                format!("its updates go to {url}; running this program takes them back"),
                format!("его обновления уходят на {url}; запущенный tgtrunk-bot заберёт их себе"),
            );
            told.amiss(bot, &said);
        }
        (Some(_), "") if runs => {
            told.amiss(bot, &Said::new("Telegram has no webhook for it", "у Telegram нет его вебхука"));
        }
        (Some(_), "") => {
            let said = Said::new(
                "the webhook is set when this program runs",
                "вебхук появится, когда программа будет запущена",
            );
            told.fine(of(bot, &said));
        }
        (Some(ours), url) => {
            let said = Said::new(
                format!("its updates go to {url}, not to {ours}"),
                format!("его обновления уходят на {url}, а не на {ours}"),
            );
            told.amiss(bot, &said);
        }
    }
    if let Some(error) = state.last_error.filter(|_| ours.is_some()) {
        let said = Said::new(
            format!("Telegram could not deliver an update: {error}"),
            format!("Telegram не смог доставить обновление: {error}"),
        );
        told.amiss(bot, &said);
    }
    // A running bot polls itself, and would be disturbed.
    if ours.is_none() && state.url.is_empty() && !runs {
        match api.updates(None, 1, Duration::ZERO).await {
            Ok(_) => {}
            Err(failure @ Failure::Conflict(_)) => told.amiss(bot, &admission::conflict(&failure)),
            Err(failure) => told.amiss(bot, &failure.said()),
        }
    }
    if state.waiting > 100 {
        let waiting = state.waiting;
        let said = Said::new(
            format!("{waiting} updates wait at Telegram"),
            format!("у Telegram ждут обновления: {waiting}"),
        );
        told.fine(of(bot, &said));
    }
}

fn phones(roster: &Roster) -> String {
    roster.phones().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
