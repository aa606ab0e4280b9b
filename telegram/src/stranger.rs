//! Who wrote, where a message does not say it: Telegram sends short texts without their users, and a person who is not
//! known cannot be answered (core.telegram.org/api/updates, `updateShortMessage`).

use std::time::Duration;

use grammers_tl_types as tl;
use tracing::debug;

use crate::core::Core;
use crate::invoke::Policy;

/// The stream waits for this.
const LIMIT: Duration = Duration::from_secs(5);

/// The writer of a new message, whom nobody has met; asks for what happened around the message, which names its users.
pub(crate) async fn ask(core: &Core, update: &tl::enums::Update) -> Vec<tl::enums::User> {
    let Some((before, date)) = place(update, |id| core.peers.by_id(id).is_some()) else { return Vec::new() };
    let request = tl::functions::updates::GetDifference {
        pts: before,
        pts_limit: None,
        pts_total_limit: None,
        date,
        qts: core.session.qts(),
        qts_limit: None,
    };
    match core.invoke(&request, Policy::call().within(LIMIT)).await {
        Ok(tl::enums::updates::Difference::Difference(found)) => found.users,
        Ok(tl::enums::updates::Difference::Slice(found)) => found.users,
        Ok(tl::enums::updates::Difference::Empty(_) | tl::enums::updates::Difference::TooLong(_)) => {
            Vec::new()
        }
        Err(error) => {
            debug!(%error, "nobody tells who wrote");
            Vec::new()
        }
    }
}

/// The state before a message of a private chat whose other end is not known, and its date.
fn place(update: &tl::enums::Update, is_known: impl Fn(i64) -> bool) -> Option<(i32, i32)> {
    let tl::enums::Update::NewMessage(update) = update else { return None };
    let (peer, date) = match &update.message {
        tl::enums::Message::Message(message) => (&message.peer_id, message.date),
        tl::enums::Message::Service(message) => (&message.peer_id, message.date),
        tl::enums::Message::Empty(_) => return None,
    };
    let tl::enums::Peer::User(user) = peer else { return None };
    // What a difference brought has no state of its own, and its users came along.
    (update.pts > update.pts_count && !is_known(user.user_id))
        .then(|| (update.pts.saturating_sub(update.pts_count), date))
}
