//! The ordered stream of updates: base state, gaps, differences (core.telegram.org/api/updates).
//!
//! The calls of this crate do not wait for it; it brings what was missed while there was no connection, and its requests
//! are what makes the link connect again.

mod boxes;
mod doubts;
mod gaps;
mod late;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use grammers_session::Session as _;
use grammers_session::types::{PeerInfo, UpdateState, UpdatesState};
use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tracing::{debug, info, warn};

use self::boxes::{Boxes, Company};
use crate::acquaintances;
use crate::backoff::Backoff;
use crate::core::Core;
use crate::flag::raised;
use crate::invoke::{InvokeError, Policy, spoils_connection};
use crate::link::{Link, LinkError};
use crate::message::{Ledger, MessageNews};
use crate::notice::{Origin, Parcel};
use crate::session::Standing;
use crate::status::Status;
use crate::stranger;

/// Runs on one pool until `over`; then the state is saved.
pub(crate) async fn run(
    core: Arc<Core>,
    link: Link,
    updates: mpsc::Receiver<UpdatesLike>,
    courier: mpsc::Sender<Parcel>,
    mut over: watch::Receiver<bool>,
) {
    let ready = async {
        until_authorized(&core).await;
        fetch_base_state(&core).await;
    };
    tokio::select! {
        () = raised(&mut over) => return,
        () = ready => {}
    }
    let mut stream = match Boxes::open(Arc::clone(&core), link, updates).await {
        Ok(stream) => stream,
        Err(error) => {
            warn!(%error, "no update stream");
            return;
        }
    };
    let mut ledger = Ledger::default();
    receive(&core, &mut stream, &courier, &mut ledger, &mut over).await;
    sync(&core, &stream, &ledger).await;
}

async fn receive(
    core: &Core,
    stream: &mut Boxes,
    courier: &mpsc::Sender<Parcel>,
    ledger: &mut Ledger,
    over: &mut watch::Receiver<bool>,
) {
    // A tick takes the stream away from what it is asking for, and there is nothing to save at first.
    let every = core.settings.sync_every;
    let mut save = interval_at(Instant::now() + every, every);
    save.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    let mut met = Arc::<Company>::default();
    loop {
        let next = tokio::select! {
            biased;
            () = raised(over) => return,
            next = timeout(core.settings.difference_limit, stream.next()) => next,
            _ = save.tick() => {
                sync(core, stream, ledger).await;
                continue;
            }
        };
        match next {
            Err(_) => {}
            Ok(Ok((update, company))) => {
                backoff.reset();
                // From here on the stream holds it no more: until the program has it, no state is saved that is past it.
                let in_hand = core.messages.is_some().then(|| ledger.take_up());
                let users = &company.users;
                for parcel in Parcel::among(std::slice::from_ref(&update), users, Origin::Stream) {
                    if courier.send(parcel).await.is_err() {
                        return;
                    }
                }
                core.peers.acquaintances.note(acquaintances::writer(&update));
                if !Arc::ptr_eq(&met, &company) {
                    cache(core, &company).await;
                    met = Arc::clone(&company);
                }
                let (Some(messages), Some(in_hand)) = (&core.messages, in_hand) else { continue };
                let strangers = tokio::select! {
                    () = raised(over) => return,
                    strangers = stranger::ask(core, &update) => strangers,
                };
                meet(core, &strangers).await;
                let Some(news) = MessageNews::of(update) else {
                    in_hand.taken();
                    continue;
                };
                // Whom it comes from is known by now. A program that is slow holds the stream up, not the calls.
                let users = match strangers.is_empty() {
                    true => Arc::clone(users),
                    false => users.iter().cloned().chain(strangers).collect(),
                };
                let notice = in_hand.tell(news, users, Arc::clone(&company.chats));
                tokio::select! {
                    () = raised(over) => return,
                    _ = messages.send(notice) => {}
                }
            }
            Ok(Err(error)) => {
                tokio::select! {
                    () = raised(over) => return,
                    () = recover(core, error, &mut backoff) => {}
                }
            }
        }
    }
}

/// What to do about a failed difference.
async fn recover(core: &Core, error: LinkError, backoff: &mut Backoff) {
    match InvokeError::judge(error) {
        InvokeError::Revoked { reason } => {
            core.end(reason).await;
            until_authorized(core).await;
        }
        InvokeError::Flood { seconds } => sleep(Duration::from_secs(seconds.into())).await,
        InvokeError::Rpc { name, .. } if spoils_connection(&name) => {
            // It ends what runs on this connection.
            sleep(backoff.pause()).await;
            core.restart();
        }
        error => {
            debug!(%error, "no difference");
            core.kick.notify_one();
            sleep(backoff.pause()).await;
        }
    }
}

async fn sync(core: &Core, stream: &Boxes, ledger: &Ledger) {
    // What the stream still holds was not told to anybody.
    let is_told = core.messages.is_none() || (stream.is_empty() && ledger.is_settled());
    if !is_told {
        return;
    }
    // A session that ended in the meantime has no state any more.
    if core.session.standing() != Standing::Authorized || !core.session.has_base_state() {
        return;
    }
    if let Err(error) = stream.sync().await {
        warn!(%error, "could not save the update state");
    }
}

async fn cache(core: &Core, company: &Company) {
    let users = company.users.iter().map(PeerInfo::from);
    let peers = users.chain(company.chats.iter().map(PeerInfo::from)).collect();
    if let Err(error) = core.session.cache_peers(peers).await {
        warn!(%error, "could not save peers");
    }
    meet(core, &company.users).await;
}

async fn meet(core: &Core, users: &[tl::enums::User]) {
    let met = core.peers.meet(users);
    if let Err(error) = core.peers.write(&met).await {
        warn!(%error, "could not remember people");
    }
}

async fn until_authorized(core: &Core) {
    let mut status = core.health.watch();
    // The sender lives in `core`, so this cannot fail.
    let _ = status.wait_for(|status| !matches!(status, Status::Red { .. })).await;
}

/// Without a base state no difference is asked for, and so nothing connects again by itself.
async fn fetch_base_state(core: &Core) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
    while !core.session.has_base_state() {
        match core.invoke(&tl::functions::updates::GetState {}, Policy::patient()).await {
            Ok(state) => {
                if let Err(error) = store_state(core, state).await {
                    warn!(%error, "could not save the update state");
                }
                return;
            }
            Err(InvokeError::Revoked { .. }) => until_authorized(core).await,
            Err(error) => info!(%error, "no base state yet"),
        }
        sleep(backoff.pause()).await;
    }
}

pub(crate) async fn store_state(
    core: &Core,
    state: tl::enums::updates::State,
) -> Result<(), crate::session::SessionError> {
    let tl::enums::updates::State::State(state) = state;
    let state = UpdatesState {
        pts: state.pts,
        qts: state.qts,
        date: state.date,
        seq: state.seq,
        channels: Vec::new(),
    };
    core.session.set_update_state(UpdateState::All(state)).await
}
