//! A world of three methods, to try the wire alone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grammers_tl_types::{Identifiable, Serializable, enums, functions, types};
use tgtrunk_test_telegram::link::{Answer, Caller, Push, Rpc};
use tgtrunk_test_telegram::wire::{Config, KeyRing, Server};
use tokio::sync::mpsc;

/// A server with the tiny world behind it.
pub(crate) struct Tiny {
    pub(crate) server: Server,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) world: Arc<World>,
    #[allow(dead_code, reason = "not every test pushes")]
    pub(crate) pushes: mpsc::Sender<Push>,
}

/// What the world answers and remembers.
#[derive(Default)]
pub(crate) struct World {
    /// Requests that came, in order: who, and the body.
    pub(crate) calls: Mutex<Vec<(Caller, Vec<u8>)>>,
    /// Comings (true) and goings of sessions.
    pub(crate) presence: Mutex<Vec<(i64, bool)>>,
    /// The next answer, whatever is asked.
    pub(crate) next: Mutex<Option<Answer>>,
    pushes: Mutex<Option<mpsc::Sender<Push>>>,
}

impl Tiny {
    pub(crate) async fn start(config: Config) -> Self {
        let keys = Arc::new(KeyRing::new());
        let world = Arc::new(World::default());
        let (pushes, orders) = mpsc::channel(64);
        *world.pushes.lock().unwrap() = Some(pushes.clone());
        let server = Server::start(config, keys.clone(), world.clone(), orders).await.unwrap();
        Self { server, keys, world, pushes }
    }

    pub(crate) fn address(&self, dc: i32) -> SocketAddr {
        self.server.addresses().into_iter().find(|(id, _)| *id == dc).unwrap().1
    }
}

impl World {
    /// How often a method was asked for.
    pub(crate) fn count(&self, constructor: u32) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, body)| body.starts_with(&constructor.to_le_bytes()))
            .count()
    }
}

impl Rpc for World {
    fn call(&self, caller: &Caller, body: &[u8]) -> Answer {
        self.calls.lock().unwrap().push((caller.clone(), body.to_vec()));
        if let Some(answer) = self.next.lock().unwrap().take() {
            return answer;
        }
        match u32::from_le_bytes(*body.first_chunk().unwrap()) {
            functions::help::GetConfig::CONSTRUCTOR_ID => Answer::Result(config(caller.dc)),
            functions::help::GetNearestDc::CONSTRUCTOR_ID => Answer::Result(nearest(caller.dc)),
            functions::help::GetTermsOfServiceUpdate::CONSTRUCTOR_ID => {
                let pushes = self.pushes.lock().unwrap().clone().unwrap();
                let push = Push::Updates { auth_key_id: caller.auth_key_id, body: notification("hello") };
                let (answer, later) = tokio::sync::oneshot::channel();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    pushes.send(push).await.unwrap();
                    answer.send(Answer::Error { code: 420, message: "FLOOD_WAIT_7000".into() }).unwrap();
                });
                Answer::Later(later)
            }
            _ => Answer::Error { code: 401, message: "AUTH_KEY_UNREGISTERED".into() },
        }
    }

    fn connected(&self, caller: &Caller) {
        self.presence.lock().unwrap().push((caller.session_id, true));
    }

    fn disconnected(&self, caller: &Caller) {
        self.presence.lock().unwrap().push((caller.session_id, false));
    }
}

/// An update that every client passes on.
pub(crate) fn notification(message: &str) -> Vec<u8> {
    let update = types::UpdateServiceNotification {
        popup: false,
        invert_media: false,
        inbox_date: None,
        r#type: "tiny".into(),
        message: message.into(),
        media: enums::MessageMedia::Empty,
        entities: Vec::new(),
    };
    enums::Updates::UpdateShort(types::UpdateShort { update: update.into(), date: 1_700_000_000 }).to_bytes()
}

pub(crate) fn nearest(dc: i32) -> Vec<u8> {
    let nearest = types::NearestDc { country: "XX".into(), this_dc: dc, nearest_dc: dc };
    enums::NearestDc::Dc(nearest).to_bytes()
}

/// A configuration large enough to be packed.
pub(crate) fn config(dc: i32) -> Vec<u8> {
    let option = types::DcOption {
        ipv6: false,
        media_only: false,
        tcpo_only: false,
        cdn: false,
        r#static: true,
        this_port_only: false,
        id: dc,
        ip_address: "127.0.0.1".into(),
        port: 443,
        secret: None,
    };
    let config = types::Config {
        default_p2p_contacts: false,
        preload_featured_stickers: false,
        revoke_pm_inbox: false,
        blocked_mode: false,
        force_try_ipv6: false,
        date: 1_700_000_000,
        expires: 1_700_003_600,
        test_mode: false,
        this_dc: dc,
        dc_options: vec![option.into(); 40],
        dc_txt_domain_name: String::new(),
        chat_size_max: 200,
        megagroup_size_max: 200_000,
        forwarded_count_max: 100,
        online_update_period_ms: 210_000,
        offline_blur_timeout_ms: 5_000,
        offline_idle_timeout_ms: 30_000,
        online_cloud_timeout_ms: 300_000,
        notify_cloud_delay_ms: 30_000,
        notify_default_delay_ms: 1_500,
        push_chat_period_ms: 60_000,
        push_chat_limit: 2,
        edit_time_limit: 172_800,
        revoke_time_limit: 2_147_483_647,
        revoke_pm_time_limit: 2_147_483_647,
        rating_e_decay: 2_419_200,
        stickers_recent_limit: 200,
        channels_read_media_period: 604_800,
        tmp_sessions: None,
        call_receive_timeout_ms: 20_000,
        call_ring_timeout_ms: 90_000,
        call_connect_timeout_ms: 30_000,
        call_packet_timeout_ms: 10_000,
        me_url_prefix: "https://t.me/".into(),
        autoupdate_url_prefix: None,
        gif_search_username: None,
        venue_search_username: None,
        img_search_username: None,
        static_maps_provider: None,
        caption_length_max: 1024,
        message_length_max: 4096,
        webfile_dc_id: 4,
        suggested_lang_code: None,
        lang_pack_version: None,
        base_lang_pack_version: None,
        reactions_default: None,
        autologin_token: None,
    };
    enums::Config::Config(config).to_bytes()
}
