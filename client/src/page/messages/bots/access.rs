//! The tokens with which programs lead a bot: shown, made and ended by a word to tgtrunk-bot.

use axum::extract::{Path, State};
use tgtrunk_config::control::{Answer, ApiTokenInfo, Ask, NewApiToken};
use tgtrunk_config::{BotName, Said};

use super::{Answered, Here, known};
use crate::page::answer::{self, Done};
use crate::page::change::summary;
use crate::page::model::access::Secret;
use crate::page::model::messages::BotAccessPage;
use crate::page::model::{Part, Typed};
use crate::page::office::Office;
use crate::page::programs::odd;
use crate::page::show::typed;
use crate::page::view::messages::bots as view;
use crate::page::visit::{Posted, Visit};

/// Longest label, in characters.
const LONGEST_LABEL: usize = 64;

impl Office {
    /// The tokens of a bot.
    async fn bot_tokens(&self, bot: &BotName) -> Result<Vec<ApiTokenInfo>, Said> {
        match self.ask(Part::Bot, Ask::ApiTokens { bot: bot.clone() }).await? {
            Answer::ApiTokens(tokens) => Ok(tokens),
            _ => Err(odd(Part::Bot)),
        }
    }

    /// A new one.
    async fn make_bot_token(&self, bot: &BotName, label: &str) -> Result<NewApiToken, Said> {
        let ask = Ask::MakeApiToken { bot: bot.clone(), label: label.to_owned() };
        match self.ask(Part::Bot, ask).await? {
            Answer::NewApiToken(new) => Ok(new),
            _ => Err(odd(Part::Bot)),
        }
    }

    async fn bot_access_page(&self, bot: &BotName, typed: Typed) -> BotAccessPage {
        let (tokens, problem) = match self.bot_tokens(bot).await {
            Ok(tokens) => (tokens, None),
            Err(said) => (Vec::new(), Some(said)),
        };
        BotAccessPage { card: self.bot_card(bot).await, tokens, typed, made: None, problem }
    }
}

/// What is wrong with a label.
pub(crate) fn label_problem(label: &str) -> Option<Said> {
    let wrong = |en: &str, ru: &str| Some(Said::new(en, ru));
    if label.is_empty() {
        return wrong("say whom the token is for", "назовите, для кого токен");
    }
    if label.chars().count() > LONGEST_LABEL || label.chars().any(char::is_control) {
        return wrong(
            "want at most 64 characters, all on one line",
            "нужно не больше 64 знаков, в одну строку",
        );
    }
    None
}

pub(crate) async fn page(State(office): Here, visit: Visit, Path(bot): Path<String>) -> Answered {
    let bot = known(&office, &visit, &bot)?;
    let page = office.bot_access_page(&bot, Typed::default()).await;
    Ok(answer::page(200, view::access(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

/// Makes a token. Its secret is in this answer and nowhere else.
pub(crate) async fn make(State(office): Here, Path(bot): Path<String>, posted: Posted) -> Answered {
    let bot = known(&office, &posted.visit, &bot)?;
    let mut typed = typed(&posted.fields, &["label"]);
    let label = posted.fields.line("label");
    let mut wrong = label_problem(label);
    if wrong.is_none()
        && office.bot_tokens(&bot).await.is_ok_and(|all| all.iter().any(|one| one.label == label))
    {
        let (en, ru) = ("there is a token with this name already", "токен с таким названием уже есть");
        wrong = Some(Said::new(en, ru));
    }
    let frame = posted.frame(&office);
    if let Some(wrong) = wrong {
        typed.refuse("label", wrong);
        let page = office.bot_access_page(&bot, typed.clone()).await;
        return Ok(answer::refused(&posted, &summary(1), &typed, || view::access(&frame, &page)));
    }
    let new = match office.make_bot_token(&bot, label).await {
        Ok(new) => new,
        Err(said) => return Ok(answer::failed(&posted, &said)),
    };
    let mut page = office.bot_access_page(&bot, Typed::default()).await;
    let address = new.url.unwrap_or_default();
    page.made = Some(Secret { name: label.to_owned(), token: new.token, address });
    if !posted.visit.0.is_fragment {
        return Ok(answer::page(200, view::access(&frame, &page)));
    }
    let done = Done::said("The token is made: copy it now.", "Токен выпущен: скопируйте его сейчас.");
    let done = done.fragment("made", view::new_token(&frame, &page));
    Ok(done.fragment("tokens", view::tokens(&frame, &page)).answer(&posted))
}

pub(crate) async fn revoke(
    State(office): Here,
    Path((bot, number)): Path<(String, i64)>,
    posted: Posted,
) -> Answered {
    let bot = known(&office, &posted.visit, &bot)?;
    match office.ask(Part::Bot, Ask::RevokeApiToken { bot: bot.clone(), number }).await {
        Ok(Answer::Done) => {}
        Ok(_) => return Ok(answer::failed(&posted, &odd(Part::Bot))),
        Err(said) => return Ok(answer::failed(&posted, &said)),
    }
    let done = Done::said(
        format!("Token {number} is dead: programs that have it are answered 401."),
        format!("Токен {number} отозван: программы с ним получат ответ 401."),
    );
    Ok(done.go(format!("/bots/{bot}/messages/access")).answer(&posted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_whom_a_token_is_for() {
        assert!(label_problem("1C").is_none() && label_problem(&"ы".repeat(64)).is_none());
        assert!(label_problem("").unwrap().ru.contains("для кого"));
        for wrong in ["ы".repeat(65), "a\nb".to_owned()] {
            assert!(label_problem(&wrong).unwrap().en.contains("at most 64"), "{wrong}");
        }
    }
}
