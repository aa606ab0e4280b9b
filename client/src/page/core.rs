//! The client at work behind the page. The page is there before it is, and while it cannot be.

use std::fmt;

use tgtrunk_config::Said;
use tokio::sync::watch;

use crate::api::Api;

/// What the page does within this very program, once the client works. Clones are the same.
#[derive(Clone)]
pub(crate) struct Core(watch::Receiver<Option<Api>>);

impl Core {
    /// One that is told when the client works.
    pub(crate) fn new(told: watch::Receiver<Option<Api>>) -> Self {
        Self(told)
    }

    /// The instances, the tokens, the organisations.
    ///
    /// # Errors
    /// While the client does not work.
    pub(crate) fn api(&self) -> Result<Api, Said> {
        self.0.borrow().clone().ok_or_else(|| {
            Said::new(
                "tgtrunk-client does not work yet. Try again in a moment; if it stays so, look at the settings and the log.",
                "Программа tgtrunk-client ещё не работает. Повторите через минуту; если это не пройдёт, проверьте настройки и журнал.",
            )
        })
    }
}

/// One that is never told.
impl Default for Core {
    fn default() -> Self {
        Self(watch::channel(None).1)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Core").field("works", &self.0.borrow().is_some()).finish()
    }
}
