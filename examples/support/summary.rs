//! What the examples print at their end.

use tower_tps::analysis::{Recording, Summary};

/// Prints what a recorded run comes to.
pub(crate) fn print(recording: &Recording) {
    let Some(summary) = recording.run().as_ref().map(Summary::of) else { return };
    let (traffic, slots) = (&summary.traffic, &summary.slots);
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    println!("\nrequests       {} {:?}", traffic.requests, traffic.outcomes);
    println!("output_tokens  {:?}", traffic.output_tokens);
    println!("system_tps     {} over {:.2} s", number(summary.system_tps), summary.window_time);
    println!("ttft p50       {}", number(traffic.distributions.ttft.map(|ttft| ttft.p50)));
    println!(
        "gap_fraction   {} (wakeup {:.3} s, backoff {:.3} s, orchestration {:.3} s)",
        number(slots.gap_fraction),
        slots.gap_time_wakeup,
        slots.gap_time_backoff,
        slots.gap_time_orchestration,
    );
}
