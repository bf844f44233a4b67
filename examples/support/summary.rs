//! What the examples print at their end.

use tower_tps::analysis::{Recording, Summary};

/// Prints what a recorded run comes to.
pub(crate) fn print(recording: &Recording) {
    let Some(summary) = recording.run().as_ref().and_then(Summary::of) else { return };
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    println!("\nrequests       {} {:?}", summary.requests, summary.outcomes);
    println!("output_tokens  {:?}", summary.output_tokens);
    println!("system_tps     {} over {:.2} s", number(summary.system_tps), summary.window_time);
    println!("ttft p50       {}", number(summary.ttft.map(|ttft| ttft.p50)));
    println!(
        "gap_fraction   {} (wakeup {:.3} s, backoff {:.3} s, orchestration {:.3} s)",
        number(summary.gap_fraction),
        summary.gap_time_wakeup,
        summary.gap_time_backoff,
        summary.gap_time_orchestration,
    );
}
