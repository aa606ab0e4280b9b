//! Messages: the boxes in which they lie, and what users do with them.

pub(crate) mod albums;
pub(crate) mod change;
pub(crate) mod dialogs;
pub(crate) mod history;
pub(crate) mod mailbox;
pub(crate) mod message;
pub(crate) mod pins;
pub(crate) mod polls;
pub(crate) mod post;
pub(crate) mod reactions;
pub(crate) mod read;
pub(crate) mod scheduled;
pub(crate) mod search;
pub(crate) mod send;
mod service;
pub(crate) mod webpages;

pub(crate) use albums::send_multi_media;
pub(crate) use change::{delete_history, delete_messages, edit_message, set_typing};
pub(crate) use dialogs::{
    edit_peer_folders, get_dialog_filters, get_dialogs, get_peer_dialogs, get_pinned_dialogs,
    toggle_dialog_pin,
};
pub(crate) use history::{get_history, get_messages};
pub(crate) use pins::{unpin_all_messages, update_pinned_message};
pub(crate) use polls::{get_poll_results, get_poll_votes, send_vote};
pub(crate) use reactions::{get_messages_reactions, send_reaction};
pub(crate) use read::{read_history, read_message_contents};
pub(crate) use scheduled::{
    delete_scheduled_messages, get_scheduled_history, get_scheduled_messages, send_scheduled_messages,
};
pub(crate) use search::{search, search_global};
pub(crate) use send::{forward_messages, send_media, send_message};
pub(crate) use webpages::get_web_page_preview;
