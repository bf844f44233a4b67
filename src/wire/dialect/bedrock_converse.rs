//! Amazon Bedrock's Converse.

use super::{Content, Dialect, Event};
use crate::wire::json::{Cursor, fields};
use crate::wire::usage::UsageKeys;

/// Amazon Bedrock Converse and ConverseStream: `bedrock-converse`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BedrockConverse;

const USAGE: UsageKeys =
    UsageKeys { output: b"outputTokens", input: b"inputTokens", total: b"totalTokens", ..UsageKeys::NONE };

impl Dialect for BedrockConverse {
    fn name(&self) -> &'static str {
        "bedrock-converse"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        is_member(event.name)
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        tell_member(event.name, &mut Cursor::new(event.data), content);
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let mut known = false;
        Cursor::new(body).at(&[b"output", b"message"], |message| known = message.peek() == Some(b'{'));
        if !known {
            return false;
        }
        Cursor::new(body).at(&[b"output", b"message", b"content"], |blocks| {
            blocks.array(|block| tell_block(block, content));
        });
        fields(body, |key, value| match key {
            b"stopReason" => content.json_finish(value),
            b"usage" => content.json_usage(value, &USAGE),
            _ => {}
        });
        true
    }
}

/// Whether this is the name of a member of Converse's stream.
pub(super) fn is_member(name: &[u8]) -> bool {
    matches!(
        name,
        b"messageStart"
            | b"contentBlockStart"
            | b"contentBlockDelta"
            | b"contentBlockStop"
            | b"messageStop"
            | b"metadata"
    )
}

/// Tells a member of Converse's stream, as a frame or as a field of Nova's JSON.
pub(super) fn tell_member(name: &[u8], member: &mut Cursor<'_>, content: &mut Content) {
    member.object(|key, value| match key {
        b"delta" => tell_block(value, content),
        b"stopReason" => content.json_finish(value),
        b"usage" => content.json_usage(value, &USAGE),
        _ => {}
    });
    if name == b"messageStop" {
        content.end();
    }
}

/// Tells a block of content, or a piece of one.
fn tell_block(block: &mut Cursor<'_>, content: &mut Content) {
    block.object(|key, value| match key {
        b"text" => content.json_text(value),
        b"toolUse" => value.at(&[b"input"], |input| content.json_arguments(input)),
        b"reasoningContent" => {
            value.object(|key, value| match key {
                b"text" => content.json_text(value),
                b"reasoningText" => value.at(&[b"text"], |text| content.json_text(text)),
                _ => {}
            });
        }
        _ => {}
    });
}
