//! Files: uploaded, hung on messages, shown as portraits, read again.

mod attach;
mod picture;
mod portraits;
mod read;
mod references;
mod store;
mod upload;

pub(crate) use attach::{geo, media, upload_media};
pub(crate) use portraits::{delete_photos, get_user_photos, update_profile_photo, upload_profile_photo};
pub(crate) use read::{get_file, get_file_hashes};
pub(crate) use store::Files;
pub(crate) use upload::{save_big_file_part, save_file_part};
