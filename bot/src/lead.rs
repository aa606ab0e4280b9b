//! What operators do with calls from their own chat: look at them, end them, order another one.

use tgtrunk_config::control::CallInfo;
use tgtrunk_config::{Language, Phone, UserId};

use crate::bot::Desk;
use crate::cards::{self, Card};
use crate::telegram::Press;

/// Shows an operator the calls on their lines.
pub(crate) async fn show(desk: &Desk, operator: UserId, language: Language) {
    let cards = {
        let roster = desk.roster();
        let calls = desk.gateway.calls();
        let leads = |line: &Phone| {
            let account = calls.account(line).or_else(|| desk.accounts.get(line).copied());
            roster.line(line).is_some() && (desk.operators.contains(&operator) || account == Some(operator))
        };
        cards::all(&calls, leads, language)
    };
    for Card { text, keyboard } in cards {
        if let Err(failure) = desk.api.show(operator, &text, keyboard).await {
            tracing::warn!(%failure, "an operator is not shown a call");
            return;
        }
    }
}

/// Ends a call that an operator leads, and shows that it is over.
pub(crate) async fn hang_up(desk: &Desk, press: &Press, call: CallInfo, language: Language) {
    let (text, over) = match desk.gateway.hang_up(call.call).await {
        Ok(()) => ("✓".to_owned(), true),
        Err(error) => (cards::stays(language, &error.to_string()), false),
    };
    desk.answer(&press.id, &text, false).await;
    if let (true, Some(message)) = (over, press.own) {
        let again = desk.roster().line(&call.line).is_some_and(|served| served.chat.call_back.is_some());
        let Card { text, keyboard } = cards::over(&call, again, language);
        if let Err(failure) = desk.api.show_anew(press.person.id, message, &text, keyboard).await {
            tracing::warn!(%failure, "an operator's card is left as it is");
        }
    }
}
