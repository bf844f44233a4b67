//! What a response was found to carry, told as the last part of its record.

use crate::pool::Pool;
use crate::record::{Generated, RequestRecord};
use crate::wire::Reader;

/// Completes a record by what the response was found to carry, and lets it go.
pub(super) fn tell(pool: &Pool, reader: &Reader, mut record: RequestRecord) {
    let (first, fullest) = reader.content().tokens_in_frames();
    record.timeline.tokens_in_frames(first, fullest);
    record.generated = Some(generated(reader, pool));
    pool.ended(record);
}

fn generated(reader: &Reader, pool: &Pool) -> Generated {
    let content = reader.content();
    let usage = content.usage_seen();
    let (tokens, chosen) = (pool.tokens(), content.counting().chosen());
    Generated {
        format: reader.format(),
        streamed: reader.streamed(),
        model: content.model_name().map(Into::into),
        finish_reason: content.finish_reason().map(Into::into),
        output_tokens: content.output_tokens().filter(|(_, source)| tokens.admits(chosen, *source)),
        usage_output_tokens: usage.normalised_output(),
        input_tokens: usage.input.map(u64::from),
        reasoning_tokens: usage.reasoning.map(u64::from),
        counted_tokens: content.counted(),
        tokenizer: tokens.name_of(chosen),
        content_events: content.content_events(),
        skipped_events: reader.skipped(),
    }
}
