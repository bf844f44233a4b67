//! The pool's integrals, recomputed from changes that the outside saw: the
//! oracle that the online meter is held against.

use tower_tps::clock::Instant;
use tower_tps::gate::{GapCause, Totals};

/// One change of a count at an instant, as the outside saw it.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    pub(crate) at: Instant,
    pub(crate) cap: i64,
    pub(crate) in_flight: i64,
    pub(crate) waiting: i64,
    pub(crate) backoff: i64,
    pub(crate) backlog: i64,
}

impl Change {
    pub(crate) fn at(at: Instant) -> Self {
        Self { at, cap: 0, in_flight: 0, waiting: 0, backoff: 0, backlog: 0 }
    }
}

/// The integrals of DEFINITIONS' pool, in nanoseconds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Integrals {
    pub(crate) backlog: u128,
    pub(crate) causes: [u128; 3],
    pub(crate) gap_slots: u128,
    pub(crate) lost: u128,
    pub(crate) cap: u128,
    pub(crate) busy: u128,
    pub(crate) idle: u128,
    pub(crate) over: u128,
}

/// The definitions, written out over the sorted changes.
pub(crate) fn recompute(mut changes: Vec<Change>, end: Instant) -> Integrals {
    changes.sort_by_key(|change| change.at);
    changes.push(Change::at(end));
    let mut sums = Integrals::default();
    let (mut cap, mut in_flight, mut waiting, mut backoff, mut backlog) = (0, 0, 0, 0, 0);
    let mut last = changes[0].at;
    for change in changes {
        let time = change.at.since(last).as_nanos() as i64;
        let (queue, free) = (waiting + backoff + backlog, (cap - in_flight).max(0));
        let add = |sum: &mut u128, slots: i64| *sum += u128::try_from(slots * time).unwrap();
        add(&mut sums.cap, cap);
        add(&mut sums.busy, in_flight);
        add(&mut sums.over, (in_flight - cap).max(0));
        if queue > 0 {
            add(&mut sums.backlog, 1);
        }
        if queue > 0 && free > 0 {
            let cause = if waiting > 0 {
                0
            } else if backoff > 0 {
                1
            } else {
                2
            };
            add(&mut sums.causes[cause], 1);
            add(&mut sums.gap_slots, free);
            add(&mut sums.lost, free.min(queue));
        } else {
            add(&mut sums.idle, free);
        }
        last = change.at;
        cap += change.cap;
        in_flight += change.in_flight;
        waiting += change.waiting;
        backoff += change.backoff;
        backlog += change.backlog;
    }
    assert_eq!((in_flight, waiting, backoff, backlog), (0, 0, 0, 0));
    sums
}

impl Integrals {
    /// What the meter says.
    pub(crate) fn of(totals: &Totals) -> Self {
        Self {
            backlog: totals.backlog_time().as_nanos(),
            causes: GapCause::ALL.map(|cause| totals.gap_time_of(cause).as_nanos()),
            gap_slots: totals.gap_slot_time().as_nanos(),
            lost: totals.lost_slot_time().as_nanos(),
            cap: totals.cap_slot_time().as_nanos(),
            busy: totals.busy_slot_time().as_nanos(),
            idle: totals.idle_slot_time().as_nanos(),
            over: totals.over_slot_time().as_nanos(),
        }
    }
}
