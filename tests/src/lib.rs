//! Far ends and stages of end-to-end tests: Telegram users, phones, and a gateway between them.
//!
//! A [`stage`] starts a whole world (test Telegram, state directory, gateway process); [`light_user`] and [`pbx`] are the
//! built-in far ends, [`independent_user`] and [`baresip`] the foreign ones. Nobody imports this crate.

pub mod aside;
pub mod bad_network;
pub mod baresip;
pub mod browser;
pub mod capture;
pub mod chat_stage;
pub mod chat_users;
pub mod checksum;
pub mod clock;
pub mod codec;
pub mod control;
pub mod coturn;
pub mod ffmpeg;
pub mod figures;
pub mod gateway;
pub mod heard;
pub mod independent;
pub mod independent_user;
pub mod keypad;
pub mod light_user;
pub mod linphone;
pub mod listening;
pub mod measure;
pub mod netns;
pub mod ntgcalls;
pub mod page_stage;
pub mod path_stage;
pub mod pbx;
pub mod pcap;
pub mod pcm;
pub mod player;
pub mod ports;
pub mod program;
pub mod prometheus;
pub mod raw_control;
pub mod raw_sip;
pub mod score;
pub mod sip_capture;
pub mod sipp;
pub mod sipp_exchange;
pub mod sipp_phone;
pub mod sockets;
pub mod socks5;
pub mod stage;
pub mod stories;
pub mod storm;
pub mod telephone_event;
pub mod tgcall_end;
pub mod tone;
pub mod visitor;
pub mod wire_pbx;
pub mod wire_stage;
pub mod wiretap;
