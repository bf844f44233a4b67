//! Whose turn it is: of the classes one, of its tenants one, of whose requests
//! the first.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use super::claim::Claim;
use super::classes::Classes;

/// Those who wait and have not been called, in the order in which they will be.
///
/// Classes share by start-time fair queueing: each turn sets a class back by its
/// stride, and the one furthest behind is next. One in which nobody waited comes
/// in where the others are. With no stride all stand level, and the first is next.
#[derive(Debug)]
pub(super) struct Order {
    classes: Box<[Class]>,
    /// Where the class stood that had the last turn.
    level: u128,
    /// How many places in the rounds have been given out.
    places: u64,
}

/// A class, and the round of its tenants.
#[derive(Debug)]
struct Class {
    stride: u128,
    /// How far it has come.
    level: u128,
    /// The tenants by their place in the round. They and their lines are there
    /// while some request of theirs is.
    round: BTreeMap<u64, Tenant>,
    lines: BTreeMap<Tenant, Line>,
}

type Tenant = Option<u64>;

/// The requests of one tenant in one class.
#[derive(Debug)]
struct Line {
    place: u64,
    tickets: BTreeSet<u64>,
}

/// A turn that was had, with all that it takes to give it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) ticket: u64,
    class: usize,
    tenant: Tenant,
    /// Where the class and the tenant stood.
    level: u128,
    place: u64,
}

impl Order {
    pub(super) fn new(classes: &Classes) -> Self {
        let class =
            |&stride: &u128| Class { stride, level: 0, round: BTreeMap::new(), lines: BTreeMap::new() };
        Self { classes: classes.strides().iter().map(class).collect(), level: 0, places: 0 }
    }

    /// Tickets must rise.
    pub(super) fn join(&mut self, ticket: u64, claim: Claim) {
        self.places += 1;
        let (level, place) = (self.level, self.places);
        let Some(class) = self.class(claim) else { return };
        if class.lines.is_empty() {
            class.level = class.level.max(level);
        }
        class.join(ticket, claim.tenant, place);
    }

    pub(super) fn leave(&mut self, ticket: u64, claim: Claim) {
        if let Some(class) = self.class(claim) {
            class.leave(ticket, claim.tenant);
        }
    }

    /// Takes out whoever is next.
    pub(super) fn next(&mut self) -> Option<Turn> {
        let waits = self.classes.iter_mut().enumerate().filter(|(_, class)| !class.lines.is_empty());
        let (index, class) = waits.min_by_key(|(_, class)| class.level)?;
        self.places += 1;
        let (ticket, tenant, place) = class.next(self.places)?;
        let turn = Turn { ticket, class: index, tenant, level: class.level, place };
        class.level += class.stride;
        self.level = self.level.max(turn.level);
        Some(turn)
    }

    /// Puts back who was taken out, and of their class the last: it will be next
    /// where it was.
    pub(super) fn take_back(&mut self, turn: Turn) {
        if let Some(class) = self.classes.get_mut(turn.class) {
            class.level = turn.level;
            class.join(turn.ticket, turn.tenant, turn.place);
        }
    }

    /// Which of two turns is the first to be taken back, if not the later one:
    /// the greater.
    pub(super) fn rank(&self, turn: &Turn) -> usize {
        match self.classes.get(turn.class) {
            Some(Class { stride: 0, .. }) => turn.class,
            // By their shares, the later turn was given in knowledge of the earlier.
            _ => 0,
        }
    }

    fn class(&mut self, claim: Claim) -> Option<&mut Class> {
        let last = self.classes.len().checked_sub(1)?;
        self.classes.get_mut(usize::from(claim.class).min(last))
    }
}

impl Class {
    /// Into the line of its tenant, which stands in the round no later than here.
    fn join(&mut self, ticket: u64, tenant: Tenant, place: u64) {
        let line = match self.lines.entry(tenant) {
            Entry::Occupied(line) => line.into_mut(),
            Entry::Vacant(line) => {
                self.round.insert(place, tenant);
                line.insert(Line { place, tickets: BTreeSet::new() })
            }
        };
        line.tickets.insert(ticket);
        if place < line.place {
            self.round.remove(&line.place);
            self.round.insert(place, tenant);
            line.place = place;
        }
    }

    fn leave(&mut self, ticket: u64, tenant: Tenant) {
        let Some(line) = self.lines.get_mut(&tenant) else { return };
        line.tickets.remove(&ticket);
        if line.tickets.is_empty() {
            self.round.remove(&line.place);
            self.lines.remove(&tenant);
        }
    }

    /// Takes out the first of the tenant that is next, which goes to this place, and
    /// tells where it was.
    fn next(&mut self, place: u64) -> Option<(u64, Tenant, u64)> {
        let (was, tenant) = self.round.pop_first()?;
        let line = self.lines.get_mut(&tenant)?;
        let ticket = line.tickets.pop_first()?;
        if line.tickets.is_empty() {
            self.lines.remove(&tenant);
        } else {
            line.place = place;
            self.round.insert(place, tenant);
        }
        Some((ticket, tenant, was))
    }
}
