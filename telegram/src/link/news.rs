//! Updates as the ordered stream takes them: those that come by themselves, and those inside answers.

use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use grammers_tl_types::{Cursor, Deserializable, Identifiable};

/// What came by itself. If it cannot be read, something is missing from now on.
pub(super) fn of_push(body: &[u8]) -> UpdatesLike {
    read(body).unwrap_or(UpdatesLike::MalformedUpdates)
}

/// The updates that an answer is or holds: they count as others do, and what counts them has to hear of them.
pub(super) fn of_answer(request: &[u8], answer: &[u8]) -> Option<UpdatesLike> {
    let is_news = matches!(
        constructor(answer)?,
        tl::types::UpdateShortMessage::CONSTRUCTOR_ID
            | tl::types::UpdateShortChatMessage::CONSTRUCTOR_ID
            | tl::types::UpdateShort::CONSTRUCTOR_ID
            | tl::types::UpdatesCombined::CONSTRUCTOR_ID
            | tl::types::Updates::CONSTRUCTOR_ID
            | tl::types::UpdateShortSentMessage::CONSTRUCTOR_ID
            | tl::types::messages::AffectedMessages::CONSTRUCTOR_ID
            | tl::types::messages::InvitedUsers::CONSTRUCTOR_ID
            | tl::types::messages::ChatInviteJoinResultOk::CONSTRUCTOR_ID
    );
    if !is_news {
        return None;
    }
    let news = match of_push(answer) {
        UpdatesLike::Updates(tl::enums::Updates::UpdateShortSentMessage(update)) => {
            match asked::<tl::functions::messages::SendMessage>(request) {
                Some(request) => UpdatesLike::ShortSentMessage { request, update },
                None => UpdatesLike::Updates(tl::enums::Updates::UpdateShortSentMessage(update)),
            }
        }
        // A channel counts for itself.
        UpdatesLike::AffectedMessages(affected) => {
            match asked::<tl::functions::channels::DeleteMessages>(request) {
                Some(tl::functions::channels::DeleteMessages {
                    channel: tl::enums::InputChannel::Channel(channel),
                    id: message_ids,
                }) => UpdatesLike::AffectedChannelMessages {
                    affected,
                    channel_id: channel.channel_id,
                    message_ids,
                },
                _ => UpdatesLike::AffectedMessages(affected),
            }
        }
        news => news,
    };
    Some(news)
}

/// The first word of an object.
pub(super) fn constructor(object: &[u8]) -> Option<u32> {
    object.first_chunk().map(|word| u32::from_le_bytes(*word))
}

fn read(body: &[u8]) -> Option<UpdatesLike> {
    match constructor(body)? {
        tl::types::messages::AffectedMessages::CONSTRUCTOR_ID => {
            let tl::enums::messages::AffectedMessages::Messages(affected) = object(body)?;
            Some(UpdatesLike::AffectedMessages(affected))
        }
        tl::types::messages::InvitedUsers::CONSTRUCTOR_ID => {
            let tl::enums::messages::InvitedUsers::Users(invited) = object(body)?;
            Some(UpdatesLike::InvitedUsers(invited))
        }
        tl::types::messages::ChatInviteJoinResultOk::CONSTRUCTOR_ID => match object(body)? {
            tl::enums::messages::ChatInviteJoinResult::Ok(joined) => {
                Some(UpdatesLike::ChatInviteJoinResult(joined))
            }
            _ => None,
        },
        _ => object(body).map(UpdatesLike::Updates),
    }
}

fn object<T: Deserializable>(body: &[u8]) -> Option<T> {
    T::deserialize(&mut Cursor::from_slice(body)).ok()
}

fn asked<R: Identifiable + Deserializable>(request: &[u8]) -> Option<R> {
    (constructor(request)? == R::CONSTRUCTOR_ID).then(|| object(request.get(4..)?))?
}

#[cfg(test)]
mod tests {
    use grammers_tl_types::{RemoteCall, Serializable};

    use super::*;

    #[test]
    fn what_came_by_itself_is_read_or_told_as_missing() {
        let short = tl::types::UpdateShort { update: tl::enums::Update::Config, date: 5 };
        let body = tl::enums::Updates::UpdateShort(short).to_bytes();
        assert!(matches!(of_push(&body), UpdatesLike::Updates(tl::enums::Updates::UpdateShort(_))));
        for broken in [&body[..body.len() - 1], &[], &[1, 2, 3], &[9; 8]] {
            assert!(matches!(of_push(broken), UpdatesLike::MalformedUpdates));
        }
    }

    #[test]
    fn an_answer_is_news_only_if_it_counts() {
        let affected = tl::types::messages::AffectedMessages { pts: 7, pts_count: 1 };
        let answer = tl::enums::messages::AffectedMessages::Messages(affected).to_bytes();
        let channel = tl::types::InputChannel { channel_id: 5, access_hash: 6 }.into();
        let request = tl::functions::channels::DeleteMessages { channel, id: vec![3] };
        match of_answer(&bytes(&request), &answer) {
            Some(UpdatesLike::AffectedChannelMessages { channel_id: 5, message_ids, .. }) => {
                assert_eq!(message_ids, [3]);
            }
            other => panic!("{:?}", other.is_some()),
        }
        let request = tl::functions::messages::DeleteMessages { revoke: true, id: vec![3] };
        let news = of_answer(&bytes(&request), &answer);
        assert!(matches!(news, Some(UpdatesLike::AffectedMessages(_))));
        let pong = tl::enums::Pong::Pong(tl::types::Pong { msg_id: 1, ping_id: 2 }).to_bytes();
        assert!(of_answer(&bytes(&request), &pong).is_none());
    }

    fn bytes(request: &impl RemoteCall) -> Vec<u8> {
        request.to_bytes()
    }
}
