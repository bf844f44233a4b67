//! Attempts joined to the requests they belong to: those made inside the meter
//! are one row, those made outside have a row each, with one `request_id`.

use std::collections::{HashMap, HashSet};

use super::row::{NO_ID, Retried, Row};

/// Marks the rows that were given up for another attempt, and counts in the
/// last of each request how often it was tried again.
///
/// The rows are in the order of their ends. They may be of one run or of several.
pub(super) fn join(rows: &mut [&mut Row]) {
    for row in rows.iter_mut() {
        row.is_superseded = false;
        let times = row.retried.as_ref().map_or(0, |retried| retried.made().count() as u64);
        tried_again(row, times + u64::from(row.attempt > 1));
    }
    // The requests of one attempt, which are nearly all, are not looked at twice.
    let again = rows.iter().filter(|row| row.attempt > 1 && row.id != NO_ID);
    let ids: HashSet<u64> = again.map(|row| row.id).collect();
    // Where the attempts of this id and number are, in the order of their ends. Ids
    // may repeat: what is joined must be the next attempt, and begin after the one
    // before has ended.
    let mut seen: HashMap<(u64, u16), Vec<usize>> = HashMap::new();
    for index in 0..rows.len() {
        let (id, attempt, queued_at) = (rows[index].id, rows[index].attempt, rows[index].timeline.queued_at);
        if !ids.contains(&id) {
            continue;
        }
        let before = attempt.checked_sub(1).filter(|before| *before > 0);
        if let Some(before) = before.and_then(|before| seen.get_mut(&(id, before))) {
            // The latest that had ended by then.
            let ended = before.partition_point(|index| rows[*index].ended_at() <= queued_at);
            if let Some(at) = ended.checked_sub(1) {
                let before = before.remove(at);
                rows[before].is_superseded = true;
                let times = rows[before].retries() + rows[index].retries();
                tried_again(rows[index], times);
            }
        }
        seen.entry((id, attempt)).or_default().push(index);
    }
}

/// The rows that requests ended with.
pub(super) fn requests(rows: &[Row]) -> impl Iterator<Item = &Row> + Clone {
    rows.iter().filter(|row| !row.is_superseded)
}

fn tried_again(row: &mut Row, times: u64) {
    match &mut row.retried {
        Some(retried) => retried.times = times,
        None if times == 0 => {}
        None => row.retried = Some(Box::new(Retried { times, ..Retried::default() })),
    }
}
