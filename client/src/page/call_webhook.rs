//! What the forms about the webhook of a line's calls do.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use tgtrunk_config::{Phone, Said};

use super::answer::{self, Done, Stop};
use super::office::Office;
use super::show::card;
use super::view;
use super::visit::Posted;

type Here = State<Arc<Office>>;
type Answered = Result<Response, Stop>;

/// Has it tried now.
pub(super) async fn push(State(office): Here, Path(phone): Path<String>, posted: Posted) -> Answered {
    let phone = posted.visit.phone(&office, &phone)?;
    match office.core.api() {
        Ok(api) => api.calls().push_now(&phone),
        Err(said) => return Ok(answer::failed(&posted, &said)),
    }
    let done = Done::said("The webhook is tried now.", "Вебхук вызывается сейчас.");
    whole(&office, &posted, &phone, done).await
}

/// Has nobody told of an event.
pub(super) async fn skip(
    State(office): Here,
    Path((phone, event)): Path<(String, i64)>,
    posted: Posted,
) -> Answered {
    let phone = posted.visit.phone(&office, &phone)?;
    let skipped = match office.core.api() {
        Ok(api) => api.calls().skip(&phone, event).await,
        Err(said) => return Ok(answer::failed(&posted, &said)),
    };
    let done = match skipped {
        Ok(true) => Done::said("The event is skipped.", "Событие пропущено."),
        Ok(false) => Done::said("The event does not wait any more.", "Это событие больше не ждёт."),
        Err(error) => {
            tracing::warn!(%error, "an event of a call cannot be skipped");
            let said = Said::new(
                "That cannot be written down now: look at the space on the disk.",
                "Записать это сейчас не удалось: проверьте место на диске.",
            );
            return Ok(answer::failed(&posted, &said));
        }
    };
    whole(&office, &posted, &phone, done).await
}

/// The answer to a form, with the webhook as it is now.
async fn whole(office: &Arc<Office>, posted: &Posted, phone: &Phone, mut done: Done) -> Answered {
    let (_, card) = card(office, &posted.visit, phone.as_str())?;
    if posted.visit.0.is_fragment {
        let page = office.line_page(card).await;
        done = done.fragment("call-webhook", view::line::webhook(&posted.frame(office), &page));
    }
    Ok(done.answer(posted))
}
