//! The ordered stream of updates: base state, gaps, differences (core.telegram.org/api/updates).
//!
//! The calls of this crate do not wait for it; it brings what was missed while there was no connection, and its requests
//! are what makes the library connect again.

use std::sync::Arc;
use std::time::Duration;

use grammers_client::Client;
use grammers_client::client::{ClientConfiguration, UpdateStream};
use grammers_client::peer::{Peer, PeerMap};
use grammers_mtsender::{InvocationError, SenderPoolFatHandle, UpdatesConfiguration};
use grammers_session::Session as _;
use grammers_session::types::{PeerInfo, UpdateState, UpdatesState};
use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

use crate::acquaintances;
use crate::backoff::Backoff;
use crate::core::Core;
use crate::flag::raised;
use crate::invoke::{InvokeError, Policy};
use crate::message::{Ledger, MessageNews};
use crate::notice::{Origin, Parcel};
use crate::session::Standing;
use crate::status::Status;
use crate::stranger;

/// Runs on one pool until `over`; then the state is saved.
pub(crate) async fn run(
    core: Arc<Core>,
    handle: SenderPoolFatHandle,
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
    // Peers are cached here, so that `next_raw` has nothing to wait for once it has taken an update.
    let client = Client::with_configuration(handle, ClientConfiguration { auto_cache_peers: false });
    let mut stream = match client.stream_updates(updates, UpdatesConfiguration { catch_up: true }).await {
        Ok(stream) => stream,
        Err(error) => {
            warn!(%error, "no update stream");
            return;
        }
    };
    let mut ledger = Ledger::default();
    receive(&core, &mut stream, &courier, &mut ledger, &mut over).await;
    // What the stream still holds was not told to anybody.
    if core.messages.is_none() || !matches!(timeout(Duration::ZERO, stream.next_raw()).await, Ok(Ok(_))) {
        sync(&core, &stream, &ledger).await;
    }
}

async fn receive(
    core: &Core,
    stream: &mut UpdateStream,
    courier: &mpsc::Sender<Parcel>,
    ledger: &mut Ledger,
    over: &mut watch::Receiver<bool>,
) {
    let mut save = interval(core.settings.sync_every);
    save.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    loop {
        // `next_raw` may be given up at any point: what it was asking for, it asks for again.
        let next = tokio::select! {
            biased;
            () = raised(over) => return,
            next = timeout(core.settings.difference_limit, stream.next_raw()) => next,
            // Only now does the stream hold nothing that was not told yet.
            _ = save.tick() => {
                sync(core, stream, ledger).await;
                continue;
            }
        };
        match next {
            Err(_) => {}
            Ok(Ok((update, _, peers))) => {
                backoff.reset();
                // From here on the stream holds it no more: until the program has it, no state is saved that is past it.
                let in_hand = core.messages.is_some().then(|| ledger.take_up());
                let mut users: Vec<_> = peers.iter_peers().filter_map(user).collect();
                for parcel in Parcel::among(std::slice::from_ref(&update), &users, Origin::Stream) {
                    if courier.send(parcel).await.is_err() {
                        return;
                    }
                }
                core.peers.acquaintances.note(acquaintances::writer(&update));
                cache(core, &users, &peers).await;
                let (Some(messages), Some(in_hand)) = (&core.messages, in_hand) else { continue };
                let strangers = tokio::select! {
                    () = raised(over) => return,
                    strangers = stranger::ask(core, &update) => strangers,
                };
                meet(core, &strangers).await;
                users.extend(strangers);
                let Some(news) = MessageNews::of(update) else {
                    in_hand.taken();
                    continue;
                };
                // Whom it comes from is known by now. A program that is slow holds the stream up, not the calls.
                let notice = in_hand.tell(news, users, peers.iter_peers().filter_map(chat).collect());
                tokio::select! {
                    () = raised(over) => return,
                    _ = messages.send(notice) => {}
                }
            }
            Ok(Err(error)) => {
                let goes_on = tokio::select! {
                    () = raised(over) => false,
                    goes_on = recover(core, error, &mut backoff) => goes_on,
                };
                if !goes_on {
                    return;
                }
            }
        }
    }
}

fn user(peer: &Peer) -> Option<tl::enums::User> {
    match peer {
        Peer::User(user) => Some(user.raw.clone()),
        Peer::Group(_) | Peer::Channel(_) | Peer::Community(_) => None,
    }
}

fn chat(peer: &Peer) -> Option<tl::enums::Chat> {
    match peer {
        Peer::Group(group) => Some(group.raw.clone()),
        Peer::Channel(channel) => Some(channel.raw.clone().into()),
        Peer::User(_) | Peer::Community(_) => None,
    }
}

/// What to do about a failed difference. False if this stream cannot go on.
async fn recover(core: &Core, error: InvocationError, backoff: &mut Backoff) -> bool {
    match InvokeError::judge(error, core.session.has_key(core.session.home_dc())) {
        InvokeError::Revoked { reason } => {
            core.end(reason).await;
            until_authorized(core).await;
        }
        InvokeError::Flood { seconds } => sleep(Duration::from_secs(seconds.into())).await,
        InvokeError::Rpc { name, .. } if name.starts_with("PERSISTENT_TIMESTAMP") => {
            warn!(name, "the update state is not accepted: starting from the present one");
            if let Err(error) = core.session.set_update_state(UpdateState::All(UpdatesState::default())).await
            {
                warn!(%error, "could not forget the update state");
            }
            core.restart();
            return false;
        }
        error => {
            debug!(%error, "no difference");
            core.kick.notify_one();
            sleep(backoff.pause()).await;
        }
    }
    true
}

async fn sync(core: &Core, stream: &UpdateStream, ledger: &Ledger) {
    if !ledger.is_settled() {
        return;
    }
    // A session that ended in the meantime has no state any more.
    if core.session.standing() != Standing::Authorized || !core.session.has_base_state() {
        return;
    }
    if let Err(error) = stream.sync_update_state().await {
        warn!(%error, "could not save the update state");
    }
}

async fn cache(core: &Core, users: &[tl::enums::User], peers: &PeerMap) {
    let peers = peers.iter_peers().map(PeerInfo::from).collect();
    if let Err(error) = core.session.cache_peers(peers).await {
        warn!(%error, "could not save peers");
    }
    meet(core, users).await;
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

/// Without a base state the library never asks for a difference, and so never connects again by itself.
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
