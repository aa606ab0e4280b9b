//! Supergroups and channels: groups with a box and a counter of their own (core.telegram.org/api/channel).

mod admins;
mod difference;
mod full;
mod life;
mod messages;
mod names;
mod participants;

pub(crate) use admins::{edit_admin, edit_banned};
pub(crate) use difference::get_channel_difference;
pub(crate) use full::{get_channels, get_full_channel};
pub(crate) use life::{create_channel, delete_channel, invite_to_channel, join_channel, leave_channel};
pub(crate) use messages::{
    delete_messages, export_message_link, get_messages, read_history, read_message_contents,
};
pub(crate) use names::{check_username, edit_photo, edit_title, update_username};
pub(crate) use participants::{get_participant, get_participants};
