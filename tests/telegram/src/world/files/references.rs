//! References of files that expire (core.telegram.org/api/file_reference): who asks for the message again gets a new one.

use grammers_tl_types as tl;

use crate::world::handle::World;
use crate::world::messages::mailbox::Mailbox;
use crate::world::state::State;

impl State {
    fn renew(&mut self, id: i64) -> bool {
        if !self.files.renew_reference(id) {
            return false;
        }
        let (photo, document) = (self.files.photo(id), self.files.document(id));
        let renew = |mailbox: &mut Mailbox| {
            for filed in mailbox.all_mut() {
                let tl::enums::Message::Message(message) = &mut filed.message else { continue };
                match &mut message.media {
                    Some(tl::enums::MessageMedia::Photo(media))
                        if media.photo.as_ref().is_some_and(|photo| photo.id() == id) =>
                    {
                        media.photo.clone_from(&photo);
                    }
                    Some(tl::enums::MessageMedia::Document(media))
                        if media.document.as_ref().is_some_and(|document| document.id() == id) =>
                    {
                        media.document.clone_from(&document);
                    }
                    _ => {}
                }
            }
        };
        self.users.all_mut().map(|user| &mut user.mailbox).for_each(renew);
        self.groups.all_mut().map(|group| &mut group.mailbox).for_each(renew);
        true
    }
}

impl World {
    /// Lets the reference of a photo or document expire: `FILE_REFERENCE_EXPIRED` for who still names it. False if there
    /// is no such file.
    pub fn expire_file(&self, id: i64) -> bool {
        self.lock().renew(id)
    }
}
