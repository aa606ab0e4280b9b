//! Polls (core.telegram.org/api/poll): one poll may stand in many messages; each viewer sees what they may.

use std::collections::BTreeMap;

use grammers_tl_types as tl;

use super::post::box_of;
use super::send::answered;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::peers::{Named, peer};
use crate::world::prime::random;
use crate::world::state::State;

/// Most answers of a poll.
const ANSWERS_MAX: usize = 12;
/// Longest question and longest answer, in characters.
const QUESTION_MAX: usize = 255;
const ANSWER_MAX: usize = 100;

/// A poll.
#[derive(Debug)]
struct Poll {
    poll: tl::types::Poll,
    creator: i64,
    correct: Vec<Vec<u8>>,
    solution: Option<String>,
    /// By voter: the options chosen.
    votes: BTreeMap<i64, Vec<Vec<u8>>>,
}

/// All polls.
#[derive(Debug, Default)]
pub(crate) struct Polls(BTreeMap<i64, Poll>);

impl Polls {
    /// Makes a poll of what a client asks to send.
    pub(crate) fn add(
        &mut self,
        creator: i64,
        input: tl::types::InputMediaPoll,
    ) -> Result<tl::enums::MessageMedia, RpcError> {
        let tl::enums::Poll::Poll(mut poll) = input.poll;
        let length = |text: &tl::enums::TextWithEntities| {
            let tl::enums::TextWithEntities::Entities(text) = text;
            text.text.trim().chars().count()
        };
        if !(1..=QUESTION_MAX).contains(&length(&poll.question)) {
            return Err(RpcError::bad_request("POLL_QUESTION_INVALID"));
        }
        if !(1..=ANSWERS_MAX).contains(&poll.answers.len()) {
            return Err(RpcError::bad_request("POLL_ANSWERS_INVALID"));
        }
        let mut answers = Vec::new();
        for (at, answer) in poll.answers.iter().enumerate() {
            let option = match answer {
                tl::enums::PollAnswer::Answer(answer) => answer.option.clone(),
                tl::enums::PollAnswer::InputPollAnswer(_) => vec![u8::try_from(at).unwrap_or(0)],
            };
            if !(1..=ANSWER_MAX).contains(&length(&answer.text())) {
                return Err(RpcError::bad_request("POLL_ANSWER_INVALID"));
            }
            if answers.iter().any(|known: &tl::types::PollAnswer| known.option == option) {
                return Err(RpcError::bad_request("POLL_OPTION_DUPLICATE"));
            }
            let text = answer.text();
            answers.push(tl::types::PollAnswer { text, option, media: None, added_by: None, date: None });
        }
        let right = input.correct_answers.unwrap_or_default();
        let right = right.into_iter().map(|at| usize::try_from(at).ok().and_then(|at| answers.get(at)));
        let right: Option<Vec<Vec<u8>>> = right.map(|one| one.map(|one| one.option.clone())).collect();
        let correct = right.ok_or_else(|| RpcError::bad_request("QUIZ_CORRECT_ANSWERS_INVALID"))?;
        if poll.quiz && correct.is_empty() {
            return Err(RpcError::bad_request("QUIZ_CORRECT_ANSWERS_EMPTY"));
        }
        poll.id = i64::from_le_bytes(random()).saturating_abs();
        poll.answers = answers.into_iter().map(Into::into).collect();
        poll.hash = 0;
        let (id, solution, votes) = (poll.id, input.solution, BTreeMap::new());
        self.0.insert(id, Poll { poll, creator, correct, solution, votes });
        self.media(id).ok_or_else(|| RpcError::bad_request("MEDIA_INVALID"))
    }

    fn media(&self, id: i64) -> Option<tl::enums::MessageMedia> {
        let known = self.0.get(&id)?;
        let (poll, results) = (known.poll.clone().into(), results(known, 0));
        Some(tl::types::MessageMediaPoll { poll, results, attached_media: None }.into())
    }

    /// Fills in what a viewer may see.
    pub(crate) fn show(&self, viewer: i64, media: &mut tl::types::MessageMediaPoll) {
        let tl::enums::Poll::Poll(poll) = &media.poll;
        if let Some(known) = self.0.get(&poll.id) {
            let creator = known.creator == viewer;
            media.poll = tl::types::Poll { creator, ..known.poll.clone() }.into();
            media.results = results(known, viewer);
        }
    }

    /// Who chose which texts, and whether no more votes are taken, for a test.
    pub(crate) fn votes(&self, id: i64) -> (Vec<(String, Vec<i64>)>, bool) {
        let Some(known) = self.0.get(&id) else { return (Vec::new(), true) };
        let of = |answer: &tl::enums::PollAnswer| {
            let tl::enums::PollAnswer::Answer(answer) = answer else { return (String::new(), Vec::new()) };
            let tl::enums::TextWithEntities::Entities(text) = &answer.text;
            let chose = known.votes.iter().filter(|(_, options)| options.contains(&answer.option));
            (text.text.clone(), chose.map(|(voter, _)| *voter).collect())
        };
        (known.poll.answers.iter().map(of).collect(), known.poll.closed)
    }

    fn vote(&mut self, id: i64, voter: i64, options: Vec<Vec<u8>>) -> Result<(), RpcError> {
        let known = self.0.get_mut(&id).ok_or_else(|| RpcError::bad_request("MESSAGE_ID_INVALID"))?;
        if known.poll.closed {
            return Err(RpcError::bad_request("MESSAGE_POLL_CLOSED"));
        }
        if options.len() > 1 && !known.poll.multiple_choice {
            return Err(RpcError::bad_request("OPTIONS_TOO_MUCH"));
        }
        let real =
            |option: &Vec<u8>| known.poll.answers.iter().any(|answer| option_of(answer) == Some(option));
        if !options.iter().all(real) {
            return Err(RpcError::bad_request("OPTION_INVALID"));
        }
        let fixed = known.poll.quiz || known.poll.revoting_disabled;
        if fixed && known.votes.contains_key(&voter) {
            return Err(RpcError::bad_request("REVOTE_NOT_ALLOWED"));
        }
        if options.is_empty() {
            known.votes.remove(&voter);
        } else {
            known.votes.insert(voter, options);
        }
        Ok(())
    }

    /// No more votes are taken. False if it was so before.
    pub(crate) fn close(&mut self, id: i64) -> bool {
        self.0.get_mut(&id).is_some_and(|known| !std::mem::replace(&mut known.poll.closed, true))
    }
}

fn option_of(answer: &tl::enums::PollAnswer) -> Option<&Vec<u8>> {
    match answer {
        tl::enums::PollAnswer::Answer(answer) => Some(&answer.option),
        tl::enums::PollAnswer::InputPollAnswer(_) => None,
    }
}

/// Who has not voted sees no numbers.
fn results(known: &Poll, viewer: i64) -> tl::enums::PollResults {
    let chosen = known.votes.get(&viewer);
    let open = chosen.is_some() || known.poll.closed;
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let of = |answer: &tl::enums::PollAnswer| {
        let option = option_of(answer)?.clone();
        let voters: Vec<i64> = known
            .votes
            .iter()
            .filter(|(_, options)| options.contains(&option))
            .map(|(voter, _)| *voter)
            .collect();
        let recent = known.poll.public_voters.then(|| voters.iter().copied().map(peer).collect());
        Some(
            tl::types::PollAnswerVoters {
                chosen: chosen.is_some_and(|options| options.contains(&option)),
                correct: known.correct.contains(&option),
                option,
                voters: Some(count(voters.len())),
                recent_voters: Some(recent.unwrap_or_default()),
            }
            .into(),
        )
    };
    tl::types::PollResults {
        min: false,
        has_unread_votes: false,
        can_view_stats: false,
        results: open.then(|| known.poll.answers.iter().filter_map(of).collect()),
        total_voters: Some(count(known.votes.len())),
        recent_voters: known.poll.public_voters.then(|| known.votes.keys().copied().map(peer).collect()),
        solution: known.solution.clone().filter(|_| open),
        solution_entities: known.solution.as_ref().filter(|_| open).map(|_| Vec::new()),
        solution_media: None,
    }
    .into()
}

impl State {
    /// The number of the poll in a message that the user sees.
    pub(crate) fn poll_in(&self, user: i64, chat: i64, id: i32) -> Result<i64, RpcError> {
        let owner = box_of(user, chat);
        let here = self.filed(owner, id).is_some_and(|filed| filed.peer == chat);
        let media = self.message(owner, id).filter(|_| here).and_then(|message| message.media.as_ref());
        let Some(tl::enums::MessageMedia::Poll(media)) = media else {
            return Err(RpcError::bad_request("MESSAGE_ID_INVALID"));
        };
        let tl::enums::Poll::Poll(poll) = &media.poll;
        Ok(poll.id)
    }

    /// The options of the poll in a message that the user sees.
    pub(crate) fn poll_options(&self, user: i64, chat: i64, id: i32) -> Result<Vec<Vec<u8>>, RpcError> {
        let poll = self.poll_in(user, chat, id)?;
        let known = self.polls.0.get(&poll).ok_or_else(|| RpcError::bad_request("MESSAGE_ID_INVALID"))?;
        Ok(known.poll.answers.iter().filter_map(option_of).cloned().collect())
    }

    /// A user votes in a poll that they see, or takes the vote back. Everybody in the chat is told, but the key `by`.
    pub(crate) fn vote(
        &mut self,
        user: i64,
        chat: i64,
        id: i32,
        options: Vec<Vec<u8>>,
        by: Option<i64>,
    ) -> Result<tl::enums::Update, RpcError> {
        let poll = self.poll_in(user, chat, id)?;
        self.polls.vote(poll, user, options)?;
        self.tell_poll(user, chat, id, poll, by);
        Ok(self.poll_update(user, poll))
    }

    /// Tells everybody in the chat how a poll stands.
    pub(crate) fn tell_poll(&mut self, user: i64, chat: i64, id: i32, poll: i64, by: Option<i64>) {
        let copies = self.copies(box_of(user, chat), id);
        let readers = if chat < 0 {
            self.groups.members(chat)
        } else {
            copies.into_iter().map(|(owner, _)| owner).collect()
        };
        for reader in readers {
            let update = self.poll_update(reader, poll);
            self.push_to_others(reader, by.unwrap_or(0), update, &[]);
        }
    }

    fn poll_update(&self, viewer: i64, poll_id: i64) -> tl::enums::Update {
        let known = self.polls.0.get(&poll_id);
        let poll = known
            .map(|known| tl::types::Poll { creator: known.creator == viewer, ..known.poll.clone() }.into());
        let results = known.map_or_else(no_results, |known| results(known, viewer));
        tl::types::UpdateMessagePoll { peer: None, msg_id: None, top_msg_id: None, poll_id, poll, results }
            .into()
    }
}

fn no_results() -> tl::enums::PollResults {
    use tl::Deserializable;
    tl::types::PollResults::from_bytes(&[0; 4]).expect("flags are whole pollResults").into()
}

/// `messages.sendVote`.
pub(crate) fn send_vote(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SendVote,
) -> Result<tl::enums::Updates, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    let key = Some(ctx.caller.auth_key_id);
    let update = ctx.state.vote(ctx.user, chat, request.msg_id, request.options, key)?;
    Ok(answered(ctx, vec![update]))
}

/// `messages.getPollResults`.
pub(crate) fn get_poll_results(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetPollResults,
) -> Result<tl::enums::Updates, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    let poll = ctx.state.poll_in(ctx.user, chat, request.msg_id)?;
    Ok(answered(ctx, vec![ctx.state.poll_update(ctx.user, poll)]))
}

/// `messages.getPollVotes`: of a poll whose voters are shown.
pub(crate) fn get_poll_votes(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetPollVotes,
) -> Result<tl::enums::messages::VotesList, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    let poll = ctx.state.poll_in(ctx.user, chat, request.id)?;
    let known = ctx.state.polls.0.get(&poll).filter(|known| known.poll.public_voters);
    let known = known.ok_or_else(|| RpcError::bad_request("BROADCAST_FORBIDDEN"))?;
    if !known.votes.contains_key(&ctx.user) {
        return Err(RpcError::forbidden("POLL_VOTE_REQUIRED"));
    }
    let chose =
        |options: &Vec<Vec<u8>>| request.option.as_ref().is_none_or(|option| options.contains(option));
    let voters = known.votes.iter().filter(|(_, options)| chose(options));
    let vote = |(voter, options): (&i64, &Vec<Vec<u8>>)| {
        let options = options.clone();
        tl::types::MessagePeerVoteMultiple { peer: peer(*voter), options, date: 0 }.into()
    };
    let votes: Vec<tl::enums::MessagePeerVote> = voters.map(vote).collect();
    let Named { users, chats } = ctx.state.named(ctx.user, known.votes.keys().copied());
    let count = i32::try_from(votes.len()).unwrap_or(i32::MAX);
    Ok(tl::types::messages::VotesList { count, votes, chats, users, next_offset: None }.into())
}
