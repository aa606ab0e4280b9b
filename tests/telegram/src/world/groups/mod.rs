//! Groups: basic groups with their methods, and what supergroups and channels share with them.

mod about;
mod basic;
mod directed;
mod full;
mod group;
mod invites;
mod migrate;
mod register;
mod rights;
mod shown;

pub(crate) use about::{
    edit_chat_about, edit_chat_default_banned_rights, edit_chat_photo, edit_chat_title, edit_photo,
    edit_title,
};
pub(crate) use basic::{
    add_chat_user, brought, create_chat, delete_chat, delete_chat_user, edit_chat_admin, invited, title_of,
};
pub use directed::{GroupInfo, MemberInfo, NewGroup};
pub(crate) use full::{get_chats, get_full_chat};
pub use group::GroupKind;
pub(crate) use group::{Ban, Group, Member};
pub(crate) use invites::{
    check_chat_invite, edit_exported_chat_invite, export_chat_invite, exported_invite,
    get_exported_chat_invites, import_chat_invite, with_chat,
};
pub(crate) use migrate::migrate_chat;
pub(crate) use register::Groups;
pub(crate) use rights::{all_rights, no_bans, no_rights};
