//! The files of a message, which are to lie on the disk before it is sent.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Outcome, TRIES, judge};
use crate::content::Content;
use crate::files::Coming;
use crate::instance::inner::Inner;
use crate::messenger::Failure;
use crate::store::{Outgoing, StorageError};

/// What is sent, with the files of it on the disk; else what comes of it.
pub(super) async fn collect(
    inner: &Arc<Inner>,
    next: &Outgoing,
    failures: HashMap<String, Failure>,
) -> Result<Result<(Content, Vec<PathBuf>), Outcome>, StorageError> {
    let (mut content, mut paths) = (next.letter.content.clone(), Vec::new());
    let (count, mut is_less, mut coming) = (content.files().count(), false, Coming::now());
    loop {
        let Some(mut file) = content.files().nth(paths.len()).cloned() else { break };
        let place = paths.len();
        let unfetched =
            file.url.as_ref().filter(|_| file.stored.is_none()).and_then(|url| failures.get(url).cloned());
        let told = match unfetched {
            Some(failure) => Err(failure),
            None => inner.fetch_for_sending(next, place, &mut file, &mut coming).await?,
        };
        let failure = match told {
            Ok(path) => {
                content.files_mut().skip(place).take(1).for_each(|kept| kept.clone_from(&file));
                paths.push(path);
                continue;
            }
            Err(failure) => failure,
        };
        let may_be_left_out = match &failure {
            Failure::Refused { .. } => true,
            Failure::Unknown(_) | Failure::Undone(_) => next.attempts + 1 >= TRIES,
            _ => false,
        };
        if next.letter.manner.takes_some
            && may_be_left_out
            && next.parts_done == 0
            && content.files().count() > 1
        {
            content.leave_out(place, failure.to_string());
            is_less = true;
            continue;
        }
        if let Failure::Unknown(cause) | Failure::Undone(cause) = failure {
            return Ok(Err(Outcome::Later { cause, is_lost: false }));
        }
        let mut outcome = judge(failure, None);
        if let Outcome::Failed(fault) = &mut outcome {
            let item = content.item(place);
            if count > 1 {
                fault.sentence = format!("{} ({}): {}", file.name, item + 1, fault.sentence);
            }
            fault.reason.item = Some(item);
        }
        return Ok(Err(outcome));
    }
    if is_less {
        inner.store.keep_content(next, &content).await?;
    }
    Ok(Ok((content, paths)))
}
