//! The signaling of one call of a light user whose packets a generator of load sends and takes.

use grammers_tl_types as tl;
use tgtrunk_test_telegram::world::DeviceHandle;
use tokio::sync::mpsc;

use super::actor::Inside;
use super::media::ToMedia;
use crate::load::{Ends, Taken, Word};

/// The signaling of one call.
pub(super) struct Elsewhere {
    pub(super) call: i64,
    pub(super) peer: tl::types::InputPhoneCall,
    pub(super) handle: DeviceHandle,
}

impl Elsewhere {
    pub(super) async fn run(
        self,
        ends: Ends,
        number: u16,
        engine: tgcall::Call,
        mut words: mpsc::Receiver<ToMedia>,
        inside: mpsc::Sender<Inside>,
    ) {
        let (to_engine, signaling) = mpsc::channel(512);
        let (say, mut said) = mpsc::unbounded_channel();
        ends.take(number, Taken { engine, signaling, say });
        loop {
            tokio::select! {
                word = words.recv() => match word {
                    Some(ToMedia::Signaling(data)) => drop(to_engine.send(data).await),
                    Some(ToMedia::Mute(_) | ToMedia::Throw(_) | ToMedia::Treat(_)) => {}
                    // The generator lets go of the end with all others.
                    Some(ToMedia::Close) | None => return,
                },
                word = said.recv() => match word {
                    Some(Word::Signaling(data)) => {
                        let request = tl::functions::phone::SendSignalingData { peer: self.peer.clone().into(), data };
                        self.handle.invoke(&request).await.ok();
                    }
                    Some(Word::Path | Word::Handshake(_)) => {}
                    Some(Word::Up) => drop(inside.send(Inside::MediaUp(self.call)).await),
                    Some(Word::Failed(error)) => {
                        tracing::warn!(call = self.call, error, "a light user's media ended");
                    }
                    None => return,
                },
            }
        }
    }
}
