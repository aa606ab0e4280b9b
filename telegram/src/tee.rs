//! Between the connection and the ordered stream: call news goes straight to the program, everything goes on.
//!
//! The stream drops a container whose sequence number does not fit, and delivers nothing while it asks for a difference;
//! a call cannot wait for either.

use std::sync::Arc;

use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::core::Core;
use crate::notice::{Origin, Parcel};

/// Passes on what one pool brings, until the pool is gone.
pub(crate) async fn run(
    core: Arc<Core>,
    mut wire: mpsc::Receiver<UpdatesLike>,
    stream: mpsc::Sender<UpdatesLike>,
    courier: mpsc::Sender<Parcel>,
) {
    let mut missed = false;
    loop {
        tokio::select! {
            biased;
            updates = wire.recv() => {
                let Some(updates) = updates else { break };
                if matches!(updates, UpdatesLike::ConnectionClosed) {
                    debug!("the connection was closed");
                    core.health.lost("closed by Telegram");
                    core.kick.notify_one();
                }
                if is_login_token(&updates) {
                    core.accepted.notify_one();
                }
                for parcel in call_news(&updates) {
                    if courier.send(parcel).await.is_err() {
                        return;
                    }
                }
                if let Err(mpsc::error::TrySendError::Full(_)) = stream.try_send(updates)
                    && !missed
                {
                    warn!(capacity = stream.max_capacity(), "too many updates at once: asking for them again later");
                    missed = true;
                }
            }
            () = core.gap.notified() => missed = true,
            place = stream.reserve(), if missed => {
                missed = false;
                if let Ok(place) = place {
                    place.send(UpdatesLike::ConnectionClosed);
                }
            }
        }
    }
}

/// The call news in whatever came.
fn call_news(updates: &UpdatesLike) -> Vec<Parcel> {
    let (updates, users) = contents(updates);
    Parcel::among(updates, users, Origin::Wire)
}

/// Whether a login token of this session was accepted.
fn is_login_token(updates: &UpdatesLike) -> bool {
    contents(updates).0.iter().any(|update| matches!(update, tl::enums::Update::LoginToken))
}

fn contents(updates: &UpdatesLike) -> (&[tl::enums::Update], &[tl::enums::User]) {
    let UpdatesLike::Updates(updates) = updates else { return (&[], &[]) };
    match updates {
        tl::enums::Updates::UpdateShort(short) => (std::slice::from_ref(&short.update), &[]),
        tl::enums::Updates::Updates(full) => (&full.updates, &full.users),
        tl::enums::Updates::Combined(full) => (&full.updates, &full.users),
        _ => (&[], &[]),
    }
}

#[cfg(test)]
mod tests {
    use tl::types;

    use super::*;
    use crate::notice::CallNews;

    #[test]
    fn call_news_is_found_in_every_wrapper_in_its_order() {
        let short: tl::enums::Updates = types::UpdateShort { update: signaling(1), date: 0 }.into();
        assert_eq!(found(short), [1]);
        let updates = vec![signaling(1), other(), signaling(2), discarded(3)];
        let full =
            types::Updates { updates: updates.clone(), users: vec![user()], chats: vec![], date: 0, seq: 99 };
        assert_eq!(found(full.into()), [1, 2, 3]);
        let combined =
            types::UpdatesCombined { updates, users: vec![], chats: vec![], date: 0, seq_start: 7, seq: 9 };
        assert_eq!(found(combined.into()), [1, 2, 3]);
        assert_eq!(found(tl::enums::Updates::TooLong), [0; 0]);
    }

    #[test]
    fn an_accepted_login_token_is_found_in_every_wrapper() {
        let token = tl::enums::Update::LoginToken;
        let short: tl::enums::Updates = types::UpdateShort { update: token.clone(), date: 0 }.into();
        let full =
            types::Updates { updates: vec![other(), token], users: vec![], chats: vec![], date: 0, seq: 0 };
        for updates in [short, full.into()] {
            assert!(is_login_token(&UpdatesLike::Updates(updates)));
        }
        let short: tl::enums::Updates = types::UpdateShort { update: other(), date: 0 }.into();
        assert!(!is_login_token(&UpdatesLike::Updates(short)));
    }

    #[test]
    fn the_users_of_the_container_come_along_with_a_call() {
        let updates = vec![discarded(3)];
        let full = types::Updates { updates, users: vec![user()], chats: vec![], date: 0, seq: 0 };
        let news = call_news(&UpdatesLike::Updates(full.into()));
        assert!(matches!(&news[0].news, CallNews::Call { users, .. } if *users == [user()]));
    }

    fn found(updates: tl::enums::Updates) -> Vec<i64> {
        call_news(&UpdatesLike::Updates(updates))
            .iter()
            .map(|parcel| match &parcel.news {
                CallNews::Signaling { call_id, .. } => *call_id,
                CallNews::Call { call: tl::enums::PhoneCall::Discarded(call), .. } => call.id,
                CallNews::Call { .. } => unreachable!(),
            })
            .collect()
    }

    fn signaling(phone_call_id: i64) -> tl::enums::Update {
        types::UpdatePhoneCallSignalingData { phone_call_id, data: vec![1] }.into()
    }

    fn discarded(id: i64) -> tl::enums::Update {
        let call = types::PhoneCallDiscarded {
            need_rating: false,
            need_debug: false,
            video: false,
            id,
            reason: Some(tl::enums::PhoneCallDiscardReason::Missed),
            duration: None,
        };
        types::UpdatePhoneCall { phone_call: call.into() }.into()
    }

    fn other() -> tl::enums::Update {
        tl::enums::Update::Config
    }

    fn user() -> tl::enums::User {
        types::UserEmpty { id: 4 }.into()
    }
}
