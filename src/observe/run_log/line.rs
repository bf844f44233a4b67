//! The lines of the log: one JSON object each, flat, in a fixed order.
//!
//! A field whose value does not exist is left out. Instants are RFC 3339 with
//! nine decimals; times are exact decimals of seconds, not binary fractions.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use super::Run;
use crate::clock::Instant;
use crate::gate::{Change, PhaseTimes, SlotPhase};
use crate::observe::{Sample, Start};
use crate::record::RequestRecord;

/// One line under way. Writing to memory cannot fail.
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    run: &'a Run,
}

impl<'a> Line<'a> {
    pub(super) fn run(out: &'a mut Vec<u8>, start: &Start, run: &'a Run) {
        let mut line = Self::begin(out, "run", run);
        line.text("version", env!("CARGO_PKG_VERSION"));
        line.instant("started_at", start.at);
        line.text("pool", &start.pool);
        line.value("cap", start.cap);
        line.text("tokenizer", &start.tokenizer);
        line.time("sample_interval", start.sample_interval);
        let labels: serde_json::Map<_, _> =
            run.labels.iter().map(|(key, value)| (key.to_string(), value.to_string().into())).collect();
        line.value("labels", serde_json::Value::Object(labels));
        line.finish();
    }

    pub(super) fn request(out: &'a mut Vec<u8>, record: &RequestRecord, run: &'a Run) {
        let mut line = Self::begin(out, "request", run);
        line.text("span_id", &record.span_id);
        line.text("request_id", &record.request_id);
        line.maybe(record.trace_id.as_deref(), |line, id| line.text("trace_id", id));
        line.text("pool", &record.pool);
        line.maybe(record.status, |line, status| line.value("status", status));
        line.text("outcome", record.outcome.as_str());
        line.text("phase", record.phase.as_str());
        line.maybe(record.error_type.as_deref(), |line, kind| line.text("error_type", kind));
        line.instants(record);
        line.generated(record);
        line.retries(record);
        line.value("response_bytes", record.response_bytes);
        line.times(record);
        line.value("cap", record.counts.cap);
        line.value("in_flight", record.counts.in_flight);
        line.value("queue_depth", record.counts.queue_depth());
        line.finish();
    }

    pub(super) fn sample(out: &'a mut Vec<u8>, sample: &Sample, run: &'a Run) {
        let mut line = Self::begin(out, "sample", run);
        line.totals(sample);
        line.finish();
    }

    pub(super) fn end(out: &'a mut Vec<u8>, sample: &Sample, run: &'a Run, dropped: u64) {
        let mut line = Self::begin(out, "end", run);
        line.totals(sample);
        line.value("dropped_records", dropped);
        line.finish();
    }

    pub(super) fn change(out: &'a mut Vec<u8>, pool: &str, change: &Change, run: &'a Run) {
        let mut line = Self::begin(out, change.quantity.as_str(), run);
        line.text("pool", pool);
        line.instant("at", change.at);
        line.value("from", change.from);
        line.value("to", change.to);
        line.finish();
    }

    fn instants(&mut self, record: &RequestRecord) {
        let timeline = &record.timeline;
        self.instant("queued_at", timeline.queued_at);
        for (key, at) in [
            ("admitted_at", timeline.admitted_at),
            ("headers_at", timeline.headers_at),
            ("first_chunk_at", timeline.first_chunk_at),
            ("first_token_at", timeline.first_token_at),
            ("last_token_at", timeline.last_token_at),
            ("released_at", timeline.released_at),
            ("first_token_handed_at", record.first_token_handed_at),
            ("last_token_handed_at", record.last_token_handed_at),
            ("handed_over_at", record.handed_over_at),
        ] {
            self.maybe(at, |line, at| line.instant(key, at));
        }
    }

    fn generated(&mut self, record: &RequestRecord) {
        let Some(generated) = &record.generated else { return };
        self.maybe(generated.format, |line, format| line.text("format", format));
        self.value("streamed", generated.streamed);
        self.maybe(generated.model.as_deref(), |line, model| line.text("model", model));
        self.maybe(generated.finish_reason.as_deref(), |line, reason| line.text("finish_reason", reason));
        self.maybe(generated.output_tokens, |line, (tokens, source)| {
            line.value("output_tokens", tokens);
            line.text("token_source", source.as_str());
        });
        for (key, tokens) in [
            ("usage_output_tokens", generated.usage_output_tokens),
            ("input_tokens", generated.input_tokens),
            ("reasoning_tokens", generated.reasoning_tokens),
            ("counted_tokens", generated.counted_tokens),
        ] {
            self.maybe(tokens, |line, tokens| line.value(key, tokens));
        }
        self.text("tokenizer", &generated.tokenizer);
        self.value("content_events", generated.content_events);
        self.value("skipped_events", generated.skipped_events);
    }

    fn retries(&mut self, record: &RequestRecord) {
        self.value("attempt", record.attempt);
        self.maybe(record.attempt_cause, |line, cause| line.text("attempt_cause", cause));
        let made: Vec<_> = record.retries_made().collect();
        self.value("retry_count", made.len());
        if record.retries.is_empty() {
            return;
        }
        self.key("retry_causes");
        self.list(&made, |line, retry| line.string(retry.cause));
        self.key("retries");
        self.list(&record.retries, |line, retry| {
            line.out.extend_from_slice(b"{\"cause\":");
            line.string(retry.cause);
            line.instant("failed_at", retry.failed_at);
            line.maybe(retry.resumed_at, |line, at| line.instant("resumed_at", at));
            line.out.push(b'}');
        });
    }

    fn times(&mut self, record: &RequestRecord) {
        let timeline = &record.timeline;
        for (key, time) in [
            ("t_queue", timeline.t_queue()),
            ("t_first_token", timeline.t_first_token()),
            ("t_stream", timeline.t_stream()),
            ("t_in_flight", timeline.t_in_flight()),
            ("t_total", timeline.t_total()),
            ("ttft", timeline.ttft()),
            ("max_token_gap", timeline.max_token_gap()),
        ] {
            self.maybe(time, |line, time| line.time(key, time));
        }
        if let Some(phases) = &record.phases {
            SlotPhase::ALL.iter().for_each(|phase| self.time(phase.as_str(), phases.of(*phase)));
        }
        self.maybe(timeline.first_chunk_tokens(), |line, tokens| line.value("first_chunk_tokens", tokens));
        let Some(tokens) = record.output_tokens() else { return };
        for (key, rate) in [
            ("burst", timeline.burst(tokens)),
            ("stream_tps", timeline.stream_tps(tokens)),
            ("decode_tps", timeline.decode_tps(tokens)),
            ("time_per_output_token", timeline.time_per_output_token(tokens)),
            ("end_to_end_tps", timeline.end_to_end_tps(tokens)),
        ] {
            self.maybe(rate.filter(|rate| rate.is_finite()), |line, rate| line.value(key, rate));
        }
    }

    fn totals(&mut self, sample: &Sample) {
        let (counts, totals) = (&sample.reading.counts, &sample.reading.totals);
        self.text("pool", &sample.pool);
        self.instant("at", sample.reading.at);
        self.value("cap", counts.cap);
        self.value("in_flight", counts.in_flight);
        self.value("queue_depth", counts.queue_depth());
        self.value("backlog", counts.backlog);
        self.value("backoff", counts.backoff);
        for (key, time) in totals.named() {
            self.time(key, time);
        }
        self.value("requests", sample.requests);
        self.value("completed", sample.completed);
        self.value("output_tokens", sample.output_tokens);
        self.value("emitted_tokens", sample.emitted_tokens);
        self.value("dispatched", sample.dispatched);
        self.value("connections", sample.connections);
        self.value("connects_failed", sample.connects_failed);
        self.time("connect_time", sample.connect_time);
        self.time("connect_failed_time", sample.connect_failed_time);
        self.value("failed_requests", sample.failed_requests);
        self.worked("failed_slot_time", &sample.failed_phases);
        self.value("abandoned_attempts", sample.abandoned_attempts);
        self.worked("abandoned_slot_time", &sample.abandoned_phases);
    }

    /// What slots worked for that came to nothing: in all, and by phase.
    fn worked(&mut self, key: &str, phases: &PhaseTimes) {
        self.time(key, phases.total());
        for phase in [SlotPhase::Dispatch, SlotPhase::Prefill, SlotPhase::Generate, SlotPhase::Drain] {
            self.time(&format!("{key}_{}", phase.as_str()), phases.of(phase));
        }
    }

    fn begin(out: &'a mut Vec<u8>, kind: &str, run: &'a Run) -> Self {
        out.extend_from_slice(b"{\"type\":");
        let mut line = Self { out, run };
        line.string(kind);
        line.text("run_id", &run.id);
        line
    }

    fn finish(self) {
        self.out.extend_from_slice(b"}\n");
    }

    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            write(self, item);
        }
        self.out.push(b']');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    /// A value whose `Display` is JSON.
    fn value(&mut self, key: &str, value: impl Display) {
        self.key(key);
        let _ = write!(self.out, "{value}");
    }

    fn instant(&mut self, key: &str, at: Instant) {
        let wall = self.run.anchor.wall(at);
        self.key(key);
        let _ = write!(self.out, "\"{}\"", humantime::format_rfc3339_nanos(wall));
    }

    fn time(&mut self, key: &str, time: Duration) {
        self.key(key);
        let _ = write!(self.out, "{}.{:09}", time.as_secs(), time.subsec_nanos());
    }

    fn key(&mut self, key: &str) {
        self.out.push(b',');
        self.string(key);
        self.out.push(b':');
    }

    fn string(&mut self, text: &str) {
        let _ = serde_json::to_writer(&mut *self.out, text);
    }
}
