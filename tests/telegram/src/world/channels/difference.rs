//! `updates.getChannelDifference`: what a session missed of one supergroup or channel.

use grammers_tl_types as tl;

use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::messages::mailbox::Event;
use crate::world::messages::message::people;
use crate::world::messages::send::named_in;
use crate::world::peers::Named;

/// Seconds after which a session that shows the channel may ask again.
const TIMEOUT_S: i32 = 30;
/// Messages told with `updates.channelDifferenceTooLong`.
const NEWEST: usize = 10;

/// `updates.getChannelDifference`: empty, whole, a part, or too long.
pub(crate) fn get_channel_difference(
    ctx: &mut Ctx<'_>,
    request: tl::functions::updates::GetChannelDifference,
) -> Result<tl::enums::updates::ChannelDifference, RpcError> {
    let id = ctx.state.input_channel(ctx.user, &request.channel)?;
    if request.pts <= 0 {
        return Err(RpcError::bad_request("PERSISTENT_TIMESTAMP_INVALID"));
    }
    let (state, user) = (&*ctx.state, ctx.user);
    let mailbox = state.mailbox(id).ok_or_else(|| RpcError::bad_request("CHANNEL_INVALID"))?;
    let timeout = Some(TIMEOUT_S);
    let behind = mailbox.pts().saturating_sub(request.pts).max(0);
    let events = mailbox.since(mailbox.pts() - behind);
    let Some(mut events) = events.filter(|_| behind <= state.settings.difference_too_long) else {
        let messages: Vec<_> =
            mailbox.chat(id).take(NEWEST).map(|(_, filed)| state.shown(user, filed)).collect();
        let Named { users, chats } = state.named(user, messages.iter().flat_map(people).chain([id]));
        let dialog = state.dialog(user, id).into();
        return Ok(tl::types::updates::ChannelDifferenceTooLong {
            r#final: true,
            timeout,
            dialog,
            messages,
            chats,
            users,
        }
        .into());
    };
    let limit = usize::try_from(request.limit).unwrap_or(0).clamp(1, state.settings.difference_slice.max(1));
    let whole = events.len() <= limit;
    events.truncate(limit);
    let Some(pts) = events.last().map(|(pts, _)| *pts) else {
        let pts = mailbox.pts();
        return Ok(tl::types::updates::ChannelDifferenceEmpty { r#final: true, pts, timeout }.into());
    };
    let mut new_messages = Vec::new();
    let mut other_updates = Vec::new();
    for (pts, event) in &events {
        match event {
            // As it is now; one that is gone again never was.
            Event::New(number) => {
                new_messages.extend(state.filed(id, *number).map(|filed| state.shown(user, filed)));
            }
            Event::Edit(number) if state.filed(id, *number).is_none() => {}
            Event::Edit(_)
            | Event::Delete(_)
            | Event::ReadInbox { .. }
            | Event::ReadOutbox { .. }
            | Event::Pin { .. }
            | Event::ReadContents(_)
            | Event::Folder { .. } => other_updates.push(state.told(user, id, *pts, event)),
        }
    }
    let named =
        new_messages.iter().flat_map(people).chain(other_updates.iter().flat_map(named_in)).chain([id]);
    let Named { users, chats } = state.named(user, named);
    Ok(tl::types::updates::ChannelDifference {
        r#final: whole,
        pts,
        timeout,
        new_messages,
        other_updates,
        chats,
        users,
    }
    .into())
}
