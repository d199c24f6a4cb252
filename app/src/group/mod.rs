//! Sets of sessions that are sent to together.

mod groups;
mod member;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

pub use groups::Groups;

use crate::server::CloseCode;
use crate::session::Session;
use member::{Member, Taken};

/// Sessions that are sent to together: a chat room, a game, everybody.
///
/// A group does not keep its sessions: they leave it when they end. What is sent is encoded once and shared by all, and
/// nobody waits for anybody: what a slow receiver has not taken is bounded, and the group's [`SlowReceivers`] policy says
/// what happens above. Clones are the same group, so it can stand in the state of an app.
///
/// # Examples
///
/// ```no_run
/// use transom::{Group, ServerApp, Session, SessionError, State};
///
/// async fn chat(session: Session, State(room): State<Group>) -> Result<(), SessionError> {
///     room.join(&session);
///     while let Some(line) = session.recv_datagram().await? {
///         room.send_datagram_except(&session, line);
///     }
///     Ok(())
/// }
///
/// let app = ServerApp::with_state(Group::new()).route("/chat", chat);
/// ```
#[derive(Clone)]
pub struct Group {
    shared: Arc<Shared>,
}

/// What happens to who does not take what a [`Group`] sends as fast as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SlowReceivers {
    /// They lose what has waited longest: good for what is soon out of date.
    #[default]
    DropOldest,
    /// They lose what is new.
    DropNewest,
    /// Their session is closed: for those who must not miss anything.
    Disconnect(CloseCode),
}

/// What became of a message to a [`Group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sent {
    /// Sessions it is on its way to.
    pub sessions: usize,
    /// Messages that slow receivers lose by it: this one, or older ones. Older datagrams, which wait in their sessions, are not
    /// counted here but in [`Session::stats`].
    pub dropped: usize,
    /// Sessions that were closed because they were too slow.
    pub disconnected: usize,
}

/// What all clones of a group share.
struct Shared {
    members: Mutex<Members>,
    policy: SlowReceivers,
    /// Messages that may wait for one member.
    waiting: usize,
}

#[derive(Default)]
struct Members {
    /// By the address of the session, which is its own for as long as it is here.
    by_key: BTreeMap<usize, Member>,
    /// How many have ever come.
    joined: u64,
    /// Number above which those that are over are looked for.
    look_above: usize,
}

/// What is sent.
#[derive(Clone, Copy)]
enum Way {
    Datagram,
    Stream,
}

impl Group {
    /// A group in which slow receivers lose the oldest messages.
    pub fn new() -> Self {
        Self::with_policy(SlowReceivers::default(), WAITING)
    }

    /// A group with another policy, in which at most `waiting` messages wait for one receiver, and at least one.
    ///
    /// The number is for [`send`](Self::send); how many datagrams wait is a matter of the session, see
    /// [`Config::datagram_send_queue`](crate::Config::datagram_send_queue).
    pub fn with_policy(policy: SlowReceivers, waiting: usize) -> Self {
        let members = Mutex::new(Members::default());
        Self { shared: Arc::new(Shared { members, policy, waiting: waiting.max(1) }) }
    }

    /// Takes a session in, until it ends or [leaves](Self::leave); whether it was not there before.
    pub fn join(&self, session: &Session) -> bool {
        if session.end().is_some() {
            return false;
        }
        let mut members = self.members();
        if members.by_key.len() >= members.look_above {
            members.forget_ended();
        }
        members.joined += 1;
        let ticket = members.joined;
        match members.by_key.entry(session.key()) {
            Entry::Vacant(place) => {
                place.insert(Member::new(session.observer(), ticket));
                true
            }
            Entry::Occupied(mut place) => place.get_mut().comes_back(),
        }
    }

    /// Lets a session go; whether it was there. Messages that wait for it are dropped, but for one that is being written.
    pub fn leave(&self, session: &Session) -> bool {
        let mut members = self.members();
        let Entry::Occupied(mut place) = members.by_key.entry(session.key()) else { return false };
        let was_here = place.get().is_here();
        if place.get_mut().leaves() {
            place.remove();
        }
        was_here
    }

    /// Whether a session is there.
    pub fn contains(&self, session: &Session) -> bool {
        self.members().by_key.get(&session.key()).is_some_and(Member::is_here)
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.members().by_key.values().filter(|member| member.is_here()).count()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sessions there are now. These handles do not keep them: see [`Session::observer`].
    pub fn sessions(&self) -> Vec<Session> {
        let members = self.members();
        let here = members.by_key.values().filter(|member| member.is_here());
        here.map(|member| member.session.clone()).collect()
    }

    /// Sends a message to all, each on a unidirectional stream of its own, in the order of the calls. What waits when the last
    /// handle of the group is dropped is dropped with it.
    pub fn send(&self, message: impl Into<Bytes>) -> Sent {
        self.send_to_others(None, &message.into(), Way::Stream)
    }

    /// Sends a message to all but one, as [`send`](Self::send) does.
    pub fn send_except(&self, session: &Session, message: impl Into<Bytes>) -> Sent {
        self.send_to_others(Some(session.key()), &message.into(), Way::Stream)
    }

    /// Sends a datagram to all. Who has a path that is too small for it loses it.
    pub fn send_datagram(&self, payload: impl Into<Bytes>) -> Sent {
        self.send_to_others(None, &payload.into(), Way::Datagram)
    }

    /// Sends a datagram to all but one.
    pub fn send_datagram_except(&self, session: &Session, payload: impl Into<Bytes>) -> Sent {
        self.send_to_others(Some(session.key()), &payload.into(), Way::Datagram)
    }

    fn send_to_others(&self, except: Option<usize>, message: &Bytes, way: Way) -> Sent {
        let mut sent = Sent::default();
        let mut too_slow = Vec::new();
        self.members().by_key.retain(|key, member| {
            if member.session.end().is_some() {
                return false;
            }
            if Some(*key) == except || !member.is_here() {
                return true;
            }
            let taken = match way {
                Way::Datagram => member.take_datagram(message, &self.shared.policy),
                Way::Stream => member.take(message, &self.shared.policy, self.shared.waiting),
            };
            match taken {
                Taken::Whole => sent.sessions += 1,
                Taken::InsteadOfOlder => {
                    sent.sessions += 1;
                    sent.dropped += 1;
                }
                Taken::Not => sent.dropped += 1,
                Taken::TooSlow => {
                    sent.disconnected += 1;
                    too_slow.push(member.session.clone());
                    return false;
                }
            }
            if matches!(way, Way::Stream) && member.begins_to_write() {
                let writing = member::write(Arc::downgrade(&self.shared), *key, member.ticket, member.session.clone());
                member.session.shared().runtime().spawn(Box::pin(writing));
            }
            true
        });
        if let SlowReceivers::Disconnect(CloseCode { code, reason }) = &self.shared.policy {
            for session in too_slow {
                session.close(*code, reason);
            }
        }
        sent
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.shared.members()
    }
}

impl Default for Group {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("sessions", &self.len()).field("policy", &self.shared.policy).finish()
    }
}

impl Shared {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    /// What is kept of sessions that are over is at most as much as of those that are not.
    fn forget_ended(&mut self) {
        self.by_key.retain(|_, member| member.session.end().is_none());
        self.look_above = 2 * self.by_key.len() + 16;
    }
}

/// Messages that wait for one receiver unless the group says otherwise.
const WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;
    use crate::{Client, ServerApp, State, Tls};

    type Sender = tokio::sync::mpsc::UnboundedSender<Session>;

    /// The peer allows no stream, so that the task that writes waits for one; who comes and goes still has one task.
    #[test]
    fn who_comes_and_goes_has_one_task() {
        World::new(1).run(async {
            let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
            let (sender, mut opened) = tokio::sync::mpsc::unbounded_channel();
            let app = ServerApp::with_state(sender).route("/", async |session: Session, sender: State<Sender>| {
                sender.0.send(session.clone()).unwrap();
                session.closed().await;
            });
            let server = app.bind("127.0.0.1:0", tls.clone()).start().unwrap();
            let mut config = crate::Config::default();
            config.session_uni_streams = 1;
            let client = Client::builder().certificate_hash(tls.certificate_sha256()).config(config);
            let deaf = client.connect(&format!("https://{}/", server.local_addrs()[0])).await.unwrap();
            let session = opened.recv().await.unwrap();
            let _taken = session.open_uni().await.unwrap();
            let group = Group::new();
            for _ in 0..100 {
                assert!(group.join(&session) && !group.join(&session));
                assert_eq!((group.send("hello").sessions, group.len()), (1, 1));
                smol::future::yield_now().await;
                assert!(group.leave(&session) && !group.leave(&session));
                assert!(group.is_empty() && !group.contains(&session) && group.sessions().is_empty());
                assert_eq!(group.send("nobody hears this").sessions, 0);
            }
            assert!(Arc::weak_count(&group.shared) <= 1);
            drop(deaf);
        });
    }

    #[test]
    fn what_is_kept_of_ended_sessions_is_bounded() {
        World::new(1).run(async {
            let tls = Tls::self_signed(["127.0.0.1"]).unwrap();
            let app = ServerApp::new().route("/", async |_: Session| {});
            let server = app.bind("127.0.0.1:0", tls.clone()).start().unwrap();
            let url = format!("https://{}/", server.local_addrs()[0]);
            let group = Group::new();
            for _ in 0..20 {
                let client = Client::builder().certificate_hash(tls.certificate_sha256());
                let session = client.connect(&url).await.unwrap();
                group.join(&session);
                session.shutdown(0, "").await;
                assert!(group.members().by_key.len() <= 17);
            }
            assert!(group.is_empty());
        });
    }
}
