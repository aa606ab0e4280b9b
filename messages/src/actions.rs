//! The action API: what an account does for a program, one action a call, and one shape for whatever comes of it.
//!
//! `POST /api/v1/actions/{action}`, or `POST /api/v1/actions` with `"action"` in the body, whose bearer's token (RFC 6750)
//! says for whom. The answer is `{"ok":true,"result":...,"job_id":...}` or `{"ok":false,"error":{"code":...}}` (`error.rs`).
//! What sends goes through the outgoing queue, what changes is done in its order, and both are on the disk before anybody is
//! told; `GET /api/v1/jobs/{job_id}` tells what came of them. `ACTIONS` holds every action by its name.

mod answer;
mod buttons;
mod changing;
mod error;
mod reading;
mod said;
mod sending;
mod shape;
mod waiting;
mod when;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::any;
use serde_json::{Map, Value, json};

pub(crate) use self::error::Failed;
use self::said::Said;
use crate::gate::Gate;
use crate::house::House;
use crate::instance::{Instance, Refused};
use crate::job::Outcome;
use crate::messenger::Failure;
use crate::standing::Standing;
use crate::store::{Kept, Part};

/// Longest key under which something is done once, in characters: an action, and likewise a notification or a call.
pub const LONGEST_KEY: usize = 255;

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// It sends.
    Sending,
    /// It changes what was sent.
    Changing,
    /// It asks.
    Reading,
}

/// An action.
struct Action {
    name: &'static str,
    sort: Sort,
    /// What may be said, beside what may be said to all.
    keys: &'static [&'static str],
}

const ACTIONS: [Action; 9] = [
    Action {
        name: "send_message",
        sort: Sort::Sending,
        keys: &[
            "dialog",
            "text",
            "format",
            "format_fallback",
            "split",
            "link_preview",
            "reply_to_message_id",
            "allow_without_reply",
            "silent",
            "schedule_at",
            "past",
            "attachments",
            "attachments_as",
            "partial",
            "buttons",
        ],
    },
    Action {
        name: "send_location",
        sort: Sort::Sending,
        keys: &[
            "dialog",
            "latitude",
            "longitude",
            "title",
            "address",
            "reply_to_message_id",
            "allow_without_reply",
            "silent",
            "schedule_at",
            "past",
        ],
    },
    Action {
        name: "send_contact",
        sort: Sort::Sending,
        keys: &[
            "dialog",
            "phone",
            "first_name",
            "last_name",
            "company",
            "reply_to_message_id",
            "allow_without_reply",
            "silent",
            "schedule_at",
            "past",
        ],
    },
    Action {
        name: "forward_message",
        sort: Sort::Sending,
        keys: &["dialog", "from_dialog", "message_ids", "silent", "hide_author", "schedule_at", "past"],
    },
    Action {
        name: "edit_message",
        sort: Sort::Changing,
        keys: &["dialog", "message_id", "text", "format", "format_fallback", "buttons"],
    },
    Action { name: "delete_message", sort: Sort::Changing, keys: &["dialog", "message_ids", "for_everyone"] },
    Action { name: "get_dialogs", sort: Sort::Reading, keys: &["limit", "offset", "query", "type"] },
    Action { name: "get_profile", sort: Sort::Reading, keys: &["dialog"] },
    Action {
        name: "get_messages",
        sort: Sort::Reading,
        keys: &["dialog", "limit", "from_id", "since", "until", "query", "ids"],
    },
];

/// Answers the calls of programs that have actions done by an instance: paths below `/api/v1/actions` and `/api/v1/jobs`.
pub fn router(house: House, gate: Arc<dyn Gate>) -> Router {
    let desk = answer::Desk { house, gate };
    Router::new()
        .route("/api/v1/actions", any(answer::answer))
        .route("/api/v1/actions/{*action}", any(answer::answer))
        .route("/api/v1/jobs/{*id}", any(answer::answer))
        .layer(DefaultBodyLimit::disable())
        .with_state(desk)
}

/// The names of all actions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|action| action.name)
}

/// What may be said to an action.
#[cfg(test)]
pub(crate) fn keys(name: &str) -> impl Iterator<Item = &'static str> {
    let own = find(name).map_or(&[][..], |action| action.keys);
    own.iter().chain(&said::COMMON).copied()
}

fn find(name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| action.name == name)
}

/// Does what sends nothing. `is_again`: it may have been done before, and nobody was told.
pub(crate) async fn perform(
    instance: &Instance,
    action: &str,
    request: &Value,
    is_again: bool,
) -> Result<Value, Failed> {
    let nothing = Map::new();
    let said = Said::of(request.as_object().unwrap_or(&nothing));
    match action {
        "edit_message" => changing::edit(instance, said, is_again).await,
        "delete_message" => changing::delete(instance, said).await,
        "get_dialogs" => reading::dialogs(instance, said).await,
        "get_profile" => reading::profile(instance, said).await,
        "get_messages" => reading::messages(instance, said).await,
        other => Err(Failed::bad(format!("'{other}' is not done here"))),
    }
}

/// Whether the journal of a bot answers it, whether Telegram can be reached or not.
pub(crate) fn is_of_journal(action: &str) -> bool {
    matches!(action, "get_dialogs" | "get_messages")
}

/// What is kept of something that was done.
pub(crate) fn done(result: &Value) -> Outcome {
    Outcome { told: json!({"result": result}), is_passing: false }
}

/// What is kept of something that was not.
pub(crate) fn undone(failed: &Failed) -> Outcome {
    Outcome { told: json!({"error": failed.shown()}), is_passing: failed.is_passing() }
}

/// What came of a job whose messages have left the queue; `parts` are those of each.
pub(crate) fn outcome(instance: &Instance, kept: &Kept, parts: &[Vec<Part>]) -> Outcome {
    match waiting::came_of(instance, kept, parts) {
        Ok(result) => done(&result),
        Err(failed) => undone(&failed),
    }
}

/// Why nothing is done for an instance that stands so.
pub(crate) fn stands(standing: Standing) -> Failed {
    Failed::from(Refused::Standing(standing))
}

/// Why something is not done that broke off by a fault of ours.
pub(crate) fn broke() -> Failed {
    Failed::new(error::Code::Internal, "something broke on our side")
}

/// Why nothing is done while Telegram asks to wait.
pub(crate) fn floods(seconds: u32) -> Failed {
    Failed::from(Failure::Flood { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_actions_name_every_key() {
        for page in [include_str!("../../client/API.md"), include_str!("../../client/API.ru.md")] {
            for action in &ACTIONS {
                let start = format!("| `{}` | ", action.name);
                let row = page.lines().find(|line| line.starts_with(&start)).unwrap();
                for key in action.keys {
                    assert!(row.contains(&format!("`{key}`")), "{} has {key}: {row}", action.name);
                }
            }
        }
    }
}
