//! What the queue costs in memory: counted by the allocator itself.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_tps::gate::{Acquire, Claim, Classes, Gate};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Ten thousand tenants that have come and gone, half of them by giving up,
/// leave nothing behind; a hundred thousand no more than that.
#[test]
fn tenants_leave_nothing_behind() {
    let gate = Gate::builder(1).classes(Classes::weighted([4, 1])).build().unwrap();
    let rounds = |count: u64| {
        for round in 0..count {
            let holder = gate.acquire().settled().unwrap().unwrap();
            let tenant = |index| Claim::default().class((index % 2) as u8).tenant(round * 1_000 + index);
            let mut waiting: Vec<Acquire> = (0..1_000).map(|index| gate.acquire_as(&tenant(index))).collect();
            waiting.truncate(500);
            drop(holder);
            waiting.into_iter().for_each(drop);
        }
    };
    rounds(1);
    let region = Region::new(ALLOCATOR);
    rounds(10);
    let left = |region: &Region<System>| {
        let change = region.change();
        change.bytes_allocated as i64 - change.bytes_deallocated as i64
    };
    assert_eq!(left(&region), 0);
    rounds(100);
    assert_eq!(left(&region), 0);
    assert!(region.change().allocations > 100_000, "they did cost something while they waited");
}
