//! Groups that come and go by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Group, SlowReceivers};
use crate::session::Session;

/// Groups with names of any kind, such as the rooms of a chat: made when the first session joins, and forgotten when
/// nobody is left.
///
/// Clones are the same groups.
///
/// # Examples
///
/// ```no_run
/// use transom::{Groups, Path, ServerApp, Session, SessionError, State};
///
/// async fn chat(
///     session: Session,
///     Path(name): Path<String>,
///     State(rooms): State<Groups<String>>,
/// ) -> Result<(), SessionError> {
///     let room = rooms.join(name, &session);
///     while let Some(line) = session.recv_datagram().await? {
///         room.send_datagram_except(&session, line);
///     }
///     Ok(())
/// }
///
/// let app = ServerApp::with_state(Groups::<String>::new()).route("/rooms/{name}", chat);
/// ```
pub struct Groups<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    groups: Mutex<Table<K>>,
    policy: SlowReceivers,
    waiting: usize,
}

struct Table<K> {
    by_name: BTreeMap<K, Group>,
    /// Number above which empty ones are looked for.
    look_above: usize,
}

impl<K: Ord + Clone> Groups<K> {
    /// Groups in which slow receivers lose the oldest messages.
    pub fn new() -> Self {
        Self::with_policy(SlowReceivers::default(), super::WAITING)
    }

    /// Groups with another policy; see [`Group::with_policy`].
    pub fn with_policy(policy: SlowReceivers, waiting: usize) -> Self {
        let groups = Mutex::new(Table { by_name: BTreeMap::new(), look_above: 0 });
        Self { shared: Arc::new(Shared { groups, policy, waiting }) }
    }

    /// Takes a session into the group of this name, which is made if it is missing.
    pub fn join(&self, name: K, session: &Session) -> Group {
        let mut table = self.table();
        if table.by_name.len() >= table.look_above {
            table.forget_empty();
        }
        let make = || Group::with_policy(self.shared.policy.clone(), self.shared.waiting);
        let group = table.by_name.entry(name).or_insert_with(make).clone();
        // Under the lock, so that nobody forgets it as empty meanwhile.
        group.join(session);
        group
    }

    /// The group of this name, if anybody is in it.
    pub fn get(&self, name: &K) -> Option<Group> {
        self.table().by_name.get(name).filter(|group| !group.is_empty()).cloned()
    }

    /// The names of all groups that have anybody in them.
    pub fn names(&self) -> Vec<K> {
        let table = self.table();
        table.by_name.iter().filter(|(_, group)| !group.is_empty()).map(|(name, _)| name.clone()).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table<K>> {
        self.shared.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> Table<K> {
    fn forget_empty(&mut self) {
        self.by_name.retain(|_, group| !group.is_empty());
        self.look_above = 2 * self.by_name.len() + 16;
    }
}

impl<K> Clone for Groups<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Ord + Clone> Default for Groups<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone + fmt::Debug> fmt::Debug for Groups<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("names", &self.names()).finish()
    }
}
