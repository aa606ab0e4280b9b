//! What forms do: a word to a program, or a file changed and read again.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use tgtrunk_config::control::{Answer, Ask, CheckName, Found, LoginMethod, LoginStage};
use tgtrunk_config::{
    BotName, BotToken, CallId, Change, EditError, LineDraft, LineError, Lines, LoginCode, Password, Phone,
    Said, TextKey, Texts,
};

use super::answer::{self, Done, Stop};
use super::change::{changes, told};
use super::load::word;
use super::model::{NewLinePage, Part, TokenForm, Typed};
use super::office::Office;
use super::programs::odd;
use super::setting::{LINE, SYSTEM};
use super::show::{card, typed};
use super::view;
use super::visit::Posted;

type Here = State<Arc<Office>>;
type Answered = Result<Response, Stop>;

/// Calls whose loudness one page may watch.
const WATCHED: usize = 20;
/// Longest code and password of an account, in characters.
const CODE_CHARS: usize = 256;
const SECRET_CHARS: usize = 256;

pub(super) async fn add_line(State(office): Here, posted: Posted) -> Answered {
    let mut typed = typed(&posted.fields, &["phone", "company", "pbx", "sip_port"]);
    let added = match draft(&posted, &mut typed) {
        Ok((phone, line)) => office.add_line(line, &mut typed).await.map(|()| phone),
        Err(said) => Err(said),
    };
    let said = match added {
        Ok(phone) => {
            let (en, ru) = (
                "The line is added. Log its account in now.",
                "Линия добавлена. Теперь войдите в её аккаунт.",
            );
            return Ok(Done::said(en, ru).go(format!("/lines/{phone}/login/gateway")).answer(&posted));
        }
        Err(said) => said,
    };
    let page = NewLinePage { typed: typed.clone(), problem: Some(said.clone()) };
    let frame = posted.frame(&office);
    Ok(answer::refused(&posted, &said, &typed, || view::new_line::page(&frame, &page)))
}

/// The line that somebody typed. Numbers may be typed as people write them.
fn draft(posted: &Posted, typed: &mut Typed) -> Result<(Phone, LineDraft), Said> {
    let number: String = posted.fields.line("phone").chars().filter(|c| !" -()\u{a0}".contains(*c)).collect();
    let Ok(phone) = number.parse::<Phone>() else {
        let said = Said::new(
            "A number has + and 7 to 15 digits with the country code first, as +79060000000.",
            "Номер пишется с + и кодом страны, всего от 7 до 15 цифр: +79060000000.",
        );
        typed.refuse("phone", said.clone());
        return Err(said);
    };
    let mut line = LineDraft::new(&phone).set("pbx", posted.fields.line("pbx"));
    if !posted.fields.line("company").is_empty() {
        line = line.set("company", posted.fields.line("company"));
    }
    if !posted.fields.line("sip_port").is_empty() {
        let Ok(port) = posted.fields.line("sip_port").parse::<u16>() else {
            let said = Said::new("A port is a number from 1024 to 65535.", "Порт — число от 1024 до 65535.");
            typed.refuse("sip_port", said.clone());
            return Err(said);
        };
        line = line.set("sip_port", port);
    }
    Ok((phone, line))
}

impl Office {
    /// Adds a line by its file, which the programs read then.
    async fn add_line(&self, line: LineDraft, typed: &mut Typed) -> Result<(), Said> {
        let state = self.state.clone();
        let added = tokio::task::spawn_blocking(move || Lines::add(&state, line)).await;
        match added {
            Ok(Ok(_)) => {}
            Ok(Err(LineError::Wrong(problems))) => {
                for problem in &problems {
                    typed.refuse(&problem.key, super::change::sentence(problem));
                }
                return Err(super::change::summary(problems.len()));
            }
            Ok(Err(error)) => return Err(Said::from(&error)),
            Err(error) => return Err(Said::from(error.to_string())),
        }
        self.reload().await;
        self.settle().await;
        Ok(())
    }

    /// Waits until the lines' files were read again, so that the next page knows them.
    async fn settle(&self) {
        let mut watch = self.hub.watch();
        watch.mark_unchanged();
        self.hub.look();
        self.hub.again();
        tokio::time::timeout(Duration::from_millis(800), watch.changed()).await.ok();
    }
}

pub(super) async fn switch(State(office): Here, Path(phone): Path<String>, posted: Posted) -> Answered {
    let phone = posted.visit.phone(&office, &phone)?;
    let is_on = posted.fields.line("enabled") == "true";
    match change_line(&office, &phone, vec![Change::new("enabled", is_on)]).await {
        Ok(()) if is_on => Ok(Done::said("The line is switched on.", "Линия включена.").answer(&posted)),
        Ok(()) => Ok(Done::said("The line is switched off.", "Линия выключена.").answer(&posted)),
        Err(error) => Ok(answer::failed(&posted, &told(&error))),
    }
}

async fn change_line(office: &Office, phone: &Phone, changes: Vec<Change>) -> Result<(), EditError> {
    let (state, whose) = (office.state.clone(), phone.clone());
    let changed = tokio::task::spawn_blocking(move || Lines::change(&state, &whose, &changes)).await;
    match changed {
        Ok(changed) => drop(changed?),
        Err(_) => return Err(EditError::Wrong(Vec::new())),
    }
    office.reload().await;
    office.settle().await;
    Ok(())
}

pub(super) async fn restart(State(office): Here, Path(phone): Path<String>, posted: Posted) -> Answered {
    let phone = posted.visit.phone(&office, &phone)?;
    let ask = || Ask::RestartLine { line: phone.clone() };
    both(&office, &posted, ask, "The line starts again.", "Линия запускается заново.").await
}

pub(super) async fn reset(State(office): Here, Path(phone): Path<String>, posted: Posted) -> Answered {
    let phone = posted.visit.phone(&office, &phone)?;
    if let Some(refused) = unconfirmed(&posted, "phone", phone.as_str()) {
        return Ok(refused);
    }
    let ask = || Ask::ResetLine { line: phone.clone() };
    let (en, ru) = (
        "The line's sessions are forgotten. Log its account in again.",
        "Сеансы линии забыты. Войдите в её аккаунт заново.",
    );
    both(&office, &posted, ask, en, ru).await
}

/// Has gateway and client do the same; what one of them cannot is told.
async fn both(office: &Office, posted: &Posted, ask: impl Fn() -> Ask, en: &str, ru: &str) -> Answered {
    let (gateway, client) = tokio::join!(office.ask(Part::Gateway, ask()), office.ask(Part::Client, ask()));
    match (gateway, client) {
        (Ok(_), Ok(_)) => Ok(Done::said(en, ru).answer(posted)),
        (Err(said), _) | (_, Err(said)) => Ok(answer::failed(posted, &said)),
    }
}

pub(super) async fn delete(State(office): Here, Path(phone): Path<String>, posted: Posted) -> Answered {
    let phone = posted.visit.phone(&office, &phone)?;
    if let Some(refused) = unconfirmed(&posted, "phone", phone.as_str()) {
        return Ok(refused);
    }
    let asked = office.ask(Part::Gateway, Ask::RemoveLine { phone: phone.clone(), keep_state: false }).await;
    if let Err(said) = asked {
        return Ok(answer::failed(&posted, &said));
    }
    office.reload().await;
    office.settle().await;
    let done = Done::said(format!("The line {phone} is deleted."), format!("Линия {phone} удалена."));
    Ok(done.go("/").answer(&posted))
}

/// Whatever cannot be undone has its name typed again.
fn unconfirmed(posted: &Posted, field: &str, name: &str) -> Option<Response> {
    if posted.fields.line(field).trim_start_matches('@').eq_ignore_ascii_case(name.trim_start_matches('@')) {
        return None;
    }
    let said = Said::new(format!("To go on, type {name}."), format!("Чтобы продолжить, введите {name}."));
    if !posted.visit.0.is_fragment {
        return Some(answer::failed(posted, &said));
    }
    let mut typed = Typed::default();
    typed.refuse(field, said.clone());
    Some(answer::refused(posted, &said, &typed, || maud::html! {}))
}

pub(super) async fn look(State(office): Here, Path(phone): Path<String>, posted: Posted) -> Answered {
    let phone = posted.visit.phone(&office, &phone)?;
    office.keep_checks(&phone, None);
    checks(&office, &posted, &phone, Done::default()).await
}

pub(super) async fn fix(
    State(office): Here,
    Path((phone, check)): Path<(String, String)>,
    posted: Posted,
) -> Answered {
    let phone = posted.visit.phone(&office, &phone)?;
    let Some(check) = word::<CheckName>(&check) else { return Err(posted.visit.nothing(&office)) };
    let part = match check {
        CheckName::InlineMode | CheckName::BotDialog => Part::Client,
        CheckName::PhoneVisible
        | CheckName::CallsFromEverybody
        | CheckName::PeerToPeer
        | CheckName::OpusAllowed
        | CheckName::PbxAnswers => Part::Gateway,
    };
    let answer = office.ask(part, Ask::FixCheck { line: phone.clone(), check }).await;
    office.keep_checks(&phone, None);
    match answer {
        Ok(Answer::Checks(found)) => {
            let fixed = found.into_iter().find(|found| found.check == check);
            match fixed {
                Some(fixed) if fixed.found == Found::Bad => Ok(answer::failed(&posted, &fixed.said)),
                _ => {
                    let done =
                        Done::said("Done: this is as it should be now.", "Готово: теперь так, как нужно.");
                    checks(&office, &posted, &phone, done).await
                }
            }
        }
        Ok(_) => Ok(answer::failed(&posted, &odd(part))),
        Err(said) => Ok(answer::failed(&posted, &said)),
    }
}

async fn checks(office: &Arc<Office>, posted: &Posted, phone: &Phone, mut done: Done) -> Answered {
    let (_, card) = card(office, &posted.visit, phone.as_str())?;
    let page = office.line_page(card).await;
    if posted.visit.0.is_fragment {
        done = done.fragment("checks", view::line::checks(&posted.frame(office), &page));
    }
    Ok(done.answer(posted))
}

pub(super) async fn line_settings(
    State(office): Here,
    Path(phone): Path<String>,
    posted: Posted,
) -> Answered {
    let (_, card) = card(&office, &posted.visit, &phone)?;
    let mut page = office.line_settings_page(card);
    let outcome = match changes(&posted.fields, LINE, &mut page.typed) {
        Ok(changes) => change_line(&office, &page.card.phone, changes).await,
        Err(said) => {
            page.problem = Some(said.clone());
            let frame = posted.frame(&office);
            return Ok(answer::refused(&posted, &said, &page.typed.clone(), || {
                view::settings::page(&frame, &page)
            }));
        }
    };
    match outcome {
        Ok(()) => Ok(Done::said("The settings are saved.", "Настройки сохранены.").answer(&posted)),
        Err(error) => {
            let said = super::change::refuse(&error, &mut page.typed);
            page.problem = Some(said.clone());
            let frame = posted.frame(&office);
            Ok(answer::refused(&posted, &said, &page.typed.clone(), || view::settings::page(&frame, &page)))
        }
    }
}

pub(super) async fn texts(
    State(office): Here,
    Path((phone, language)): Path<(String, String)>,
    posted: Posted,
) -> Answered {
    let (snapshot, card) = card(&office, &posted.visit, &phone)?;
    let Some(language) = answer::language(&language) else { return Err(posted.visit.nothing(&office)) };
    let reset = posted.fields.line("reset");
    let mut page = office.texts_page(&snapshot, card, language);
    let mut changes = Vec::new();
    for entry in &mut page.texts {
        let word = entry.key.word();
        let is_reset = reset == "all" || reset == word;
        let Some(typed) = posted.fields.given(word).map(|typed| typed.trim().to_owned()) else {
            if is_reset && !entry.own.is_empty() {
                changes.push(Change { key: format!("{language}.{word}"), value: None });
            }
            continue;
        };
        let wanted =
            if is_reset || typed == entry.key.default_text(language) { String::new() } else { typed };
        if wanted != entry.own {
            let value = (!wanted.is_empty()).then(|| wanted.clone().into());
            changes.push(Change { key: format!("{language}.{word}"), value });
        }
        entry.own = wanted;
        entry.problem = None;
    }
    let (state, whose) = (office.state.clone(), page.card.phone.clone());
    let changed = tokio::task::spawn_blocking(move || Texts::change(&state, &whose, &changes)).await;
    let said = match changed {
        Ok(Ok(_)) => {
            office.reload().await;
            let done = Done::said("The texts are saved.", "Тексты сохранены.");
            return Ok(done.answer(&posted));
        }
        Ok(Err(EditError::Wrong(problems))) => {
            let mut typed = Typed::default();
            for problem in &problems {
                let said = super::change::sentence(problem);
                if let Some(entry) = page.texts.iter_mut().find(|entry| is_of(&problem.key, entry.key)) {
                    entry.problem = Some(said.clone());
                    typed.refuse(entry.key.word(), said);
                }
            }
            let said = super::change::summary(problems.len());
            let frame = posted.frame(&office);
            return Ok(answer::refused(&posted, &said, &typed, || view::texts::page(&frame, &page)));
        }
        Ok(Err(error)) => told(&error),
        Err(error) => Said::from(error.to_string()),
    };
    Ok(answer::failed(&posted, &said))
}

fn is_of(name: &str, key: TextKey) -> bool {
    name.rsplit('.').next() == Some(key.word())
}

/// Steps of a login: what was typed goes to the program, and the page shows what is needed next.
pub(super) async fn login_step(
    State(office): Here,
    Path((phone, part, step)): Path<(String, String, String)>,
    posted: Posted,
) -> Answered {
    let (_, card) = card(&office, &posted.visit, &phone)?;
    let part = posted.visit.part(&office, &part)?;
    let line = card.phone.clone();
    let field = |name: &str, most: usize| {
        let typed = posted.fields.raw(name);
        (!typed.is_empty() && typed.chars().count() <= most).then_some(typed)
    };
    let asked = match step.as_str() {
        "start" => {
            word::<LoginMethod>(posted.fields.line("method")).map(|method| Ask::StartLogin { line, method })
        }
        "resend" => Some(Ask::ResendCode { line }),
        "cancel" => Some(Ask::CancelLogin { line }),
        "logout" => Some(Ask::LogOut { line }),
        "code" => field("code", CODE_CHARS).map(|code| {
            // Whoever sends it knows what of it counts: some codes are several words.
            Ask::EnterCode { line, code: LoginCode::new(code.trim()) }
        }),
        "password" => field("password", SECRET_CHARS)
            .map(|password| Ask::EnterPassword { line, password: Password::new(password) }),
        _ => return Err(posted.visit.nothing(&office)),
    };
    let Some(ask) = asked else {
        let said = Said::new("Fill the field in.", "Заполните поле.");
        return Ok(answer::failed(&posted, &said));
    };
    let here = format!("/lines/{}/login/{}", card.phone, part.word());
    match office.login_step(part, ask).await {
        Ok(info) => {
            let is_done = matches!(info.stage, LoginStage::Done { .. });
            let problem = info.problem.clone();
            let writers = office.writers(Some(&card.phone), None).await;
            let page = super::model::StepsPage { card, part, info: Some(info), writers };
            let mut done = Done::default();
            if posted.visit.0.is_fragment {
                done = done.fragment("steps", view::steps::steps(&posted.frame(&office), &page));
            }
            if is_done && step != "start" {
                office.keep_checks(&page.card.phone, None);
                done.said = Some(Said::new("Logged in.", "Вход выполнен."));
            } else if step == "logout" && problem.is_none() {
                done.said = Some(Said::new("Logged out.", "Выход выполнен."));
            }
            let done = if posted.visit.0.is_fragment { done } else { done.go(here) };
            Ok(done.answer(&posted))
        }
        Err(said) => Ok(answer::failed(&posted, &said)),
    }
}

pub(super) async fn line_bot(State(office): Here, Path(phone): Path<String>, posted: Posted) -> Answered {
    let (snapshot, card) = card(&office, &posted.visit, &phone)?;
    let (bot, form) = match posted.fields.line("act") {
        "choose" => (Ok(posted.fields.line("bot").to_owned()), TokenForm::default()),
        act => match token(&office, &posted, act == "save").await {
            (Some(bot), form) if act == "save" => (Ok(bot.to_string()), form),
            (_, form) => (Err(form.problem.clone()), form),
        },
    };
    let said = match bot {
        Ok(bot) if bot.is_empty() || snapshot_bot(&bot) => {
            match change_line(&office, &card.phone, vec![Change::new("bot", bot.clone())]).await {
                Ok(()) => {
                    let done = match bot.as_str() {
                        "" => Done::said("The line has no bot now.", "У линии теперь нет бота."),
                        bot => Done::said(
                            format!("The line has the bot @{bot} now."),
                            format!("Теперь у линии бот @{bot}."),
                        ),
                    };
                    // The whole page is another now: the list of bots, the lamps, the empty field.
                    return Ok(done.go(format!("/lines/{}/login/bot", card.phone)).answer(&posted));
                }
                Err(error) => told(&error),
            }
        }
        Ok(_) => Said::new("That is no bot's name.", "Это не имя бота."),
        Err(Some(said)) => said,
        // The token is good, and was only to be checked.
        Err(None) => {
            let page = office.line_bot_page(&snapshot, card, form);
            let frame = posted.frame(&office);
            return Ok(shown(
                &posted,
                "token",
                || view::line_bot::page(&frame, &page),
                || {
                    view::line_bot::token_form(
                        &frame,
                        &page.token,
                        &format!("/lines/{}/login/bot", page.card.phone),
                    )
                },
            ));
        }
    };
    let mut typed = Typed::default();
    typed.refuse("token", said.clone());
    let page = office.line_bot_page(&snapshot, card, TokenForm { problem: Some(said.clone()), ..form });
    let frame = posted.frame(&office);
    Ok(answer::refused(&posted, &said, &typed, || view::line_bot::page(&frame, &page)))
}

fn snapshot_bot(name: &str) -> bool {
    name.parse::<BotName>().is_ok()
}

/// A page with what was found, or its one element for the script.
fn shown(
    posted: &Posted,
    id: &str,
    whole: impl FnOnce() -> maud::Markup,
    element: impl FnOnce() -> maud::Markup,
) -> Response {
    if posted.visit.0.is_fragment {
        Done::default().fragment(id, element()).answer(posted)
    } else {
        answer::page(200, whole())
    }
}

/// Checks a token, and keeps it where that is wanted. Gives the bot, and the form to show again.
async fn token(office: &Office, posted: &Posted, is_kept: bool) -> (Option<BotName>, TokenForm) {
    let typed = posted.fields.line("token").to_owned();
    let Ok(token) = typed.parse::<BotToken>() else {
        let said = Said::new(
            "That is no token. @BotFather gives one, as 123456789:ABC…",
            "Это не токен. Его выдаёт @BotFather, он выглядит как 123456789:ABC…",
        );
        return (None, TokenForm { token: typed, problem: Some(said), found: None });
    };
    let ask = if is_kept { Ask::AddBot { token } } else { Ask::CheckBot { token } };
    match office.ask(Part::Bot, ask).await {
        Ok(Answer::Bot(found)) => {
            let bot = found.bot.clone();
            (Some(bot), TokenForm { token: typed, problem: None, found: Some(found) })
        }
        Ok(_) => (None, TokenForm { token: typed, problem: Some(odd(Part::Bot)), found: None }),
        Err(said) => (None, TokenForm { token: typed, problem: Some(said), found: None }),
    }
}

pub(super) async fn bots(State(office): Here, posted: Posted) -> Answered {
    let is_kept = posted.fields.line("act") == "save";
    let (bot, form) = token(&office, &posted, is_kept).await;
    if let (Some(bot), true) = (&bot, is_kept) {
        let done = Done::said(format!("The bot @{bot} is added."), format!("Бот @{bot} добавлен."));
        return Ok(done.go("/bots").answer(&posted));
    }
    let problem = form.problem.clone();
    let page = office.bots_page(&office.hub.snapshot(), form).await;
    let frame = posted.frame(&office);
    match problem {
        None => Ok(shown(
            &posted,
            "token",
            || view::bots::page(&frame, &page),
            || view::line_bot::token_form(&frame, &page.token, "/bots"),
        )),
        Some(said) => {
            let mut typed = Typed::default();
            typed.refuse("token", said.clone());
            Ok(answer::refused(&posted, &said, &typed, || view::bots::page(&frame, &page)))
        }
    }
}

pub(super) async fn remove_bot(State(office): Here, Path(bot): Path<String>, posted: Posted) -> Answered {
    let Ok(bot) = bot.parse::<BotName>() else { return Err(posted.visit.nothing(&office)) };
    if let Some(refused) = unconfirmed(&posted, "bot", &bot.to_string()) {
        return Ok(refused);
    }
    match office.ask(Part::Bot, Ask::RemoveBot { bot: bot.clone() }).await {
        Ok(_) => {
            let done = Done::said(format!("The bot @{bot} is removed."), format!("Бот @{bot} удалён."));
            Ok(done.go("/bots").answer(&posted))
        }
        Err(said) => Ok(answer::failed(&posted, &said)),
    }
}

pub(super) async fn hang_up(State(office): Here, Path(call): Path<String>, posted: Posted) -> Answered {
    let Ok(call) = call.parse::<CallId>() else { return Err(posted.visit.nothing(&office)) };
    match office.ask(Part::Gateway, Ask::HangUp { call }).await {
        Ok(_) => Ok(Done::said("The call is over.", "Звонок завершён.").answer(&posted)),
        Err(said) => Ok(answer::failed(&posted, &said)),
    }
}

pub(super) async fn watch(State(office): Here, posted: Posted) -> Answered {
    let calls = posted.fields.all("call").iter().take(WATCHED).filter_map(|call| call.parse::<CallId>().ok());
    for call in calls {
        // A call that is over meanwhile is nobody's trouble.
        office.ask(Part::Gateway, Ask::WatchLevels { call }).await.ok();
    }
    Ok(Done::default().answer(&posted))
}

pub(super) async fn settings(State(office): Here, posted: Posted) -> Answered {
    let snapshot = office.hub.snapshot();
    let mut page = office.system_page(&snapshot).await;
    let said = match changes(&posted.fields, SYSTEM, &mut page.typed) {
        Ok(changes) => {
            let file = office.settings_file.clone();
            let changed =
                tokio::task::spawn_blocking(move || tgtrunk_config::Settings::change(&file, &changes)).await;
            match changed {
                Ok(Ok(_)) => {
                    office.reload().await;
                    let done = Done::said(
                        "The settings are saved. The programs take them up by themselves when the last call has ended; one that you started by hand, when you start it next.",
                        "Настройки сохранены. Программы примут их сами, когда закончится последний звонок; запущенная вручную — при следующем запуске.",
                    );
                    return Ok(done.answer(&posted));
                }
                Ok(Err(error)) => super::change::refuse(&error, &mut page.typed),
                Err(error) => Said::from(error.to_string()),
            }
        }
        Err(said) => said,
    };
    page.problem = Some(said.clone());
    let frame = posted.frame(&office);
    Ok(answer::refused(&posted, &said, &page.typed.clone(), || view::system::page(&frame, &page)))
}

impl Posted {
    /// What surrounds a page that answers a form: it is the one that the form stood on.
    pub(super) fn frame(&self, office: &Office) -> super::model::Frame {
        let mut frame = self.visit.frame(office, &office.hub.snapshot());
        self.back().clone_into(&mut frame.path);
        frame
    }
}
