use workspace::{Command, JobId, Session};

use super::{State, Tone};
use crate::actions::Action;
use crate::shown::Link;

/// Commands of a frame, sent when it is painted.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    commands: Vec<Command>,
    canceled: Vec<JobId>,
    pub(crate) actions: Vec<Action>,
    /// Where to go.
    pub(crate) links: Vec<Link>,
    said: Vec<(Tone, String)>,
}

impl Outbox {
    pub(crate) fn send(&mut self, command: Command) {
        self.commands.push(command);
    }

    pub(crate) fn extend(&mut self, commands: impl IntoIterator<Item = Command>) {
        self.commands.extend(commands);
    }

    /// Tells the person something.
    pub(crate) fn say(&mut self, tone: Tone, text: String) {
        self.said.push((tone, text));
    }

    pub(crate) fn cancel(&mut self, job: JobId) {
        self.canceled.push(job);
    }

    /// Cancels every job that a person waits for.
    pub(crate) fn canceled_all(&mut self, state: &State) {
        self.canceled.extend(state.jobs.keys().copied());
    }

    pub(crate) fn go(&mut self, page: crate::Page) {
        self.act(Action::Go(page));
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Shows what a saved board has, or says what is wrong with it.
    pub(crate) fn show_board(&mut self, link: Result<Link, String>) {
        match link {
            Ok(link) => self.show(link),
            Err(text) => self.say(Tone::Bad, text),
        }
    }

    /// Shows something else.
    pub(crate) fn show(&mut self, link: Link) {
        self.links.push(link);
    }

    /// Hands everything to the session.
    pub(crate) fn flush(&mut self, session: &mut Session, state: &mut State) {
        for (tone, text) in self.said.drain(..) {
            state.tell(tone, text);
        }
        for job in self.canceled.drain(..) {
            session.cancel(job);
        }
        for command in self.commands.drain(..) {
            let copy = command.clone();
            let id = session.send(command);
            state.begin(id, &copy);
        }
    }
}
