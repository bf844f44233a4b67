// Sends what it is asked to, all at once, by one client of the `openai` package, and tells what it got.
//
// `node openai.mjs URL` reads a list of `{request_id, body, leave_after}` from its standard input and
// writes the answers, in the same order, to its standard output.

import { readFileSync } from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "none", maxRetries: 0, timeout: 60_000 });

// Nanoseconds since 1970 by a clock that does not jump.
const now = () => Math.round((performance.timeOrigin + performance.now()) * 1e6);

async function send({ request_id, body, leave_after }) {
  const answer = { request_id, texts: [], seen_at: [], finish_reason: null, usage: null, timings: null, left: false };
  const leave = new AbortController();
  const made = await client.chat.completions.create(body, {
    headers: { "x-request-id": request_id },
    signal: leave.signal,
  });
  for await (const part of body.stream ? made : [made]) {
    answer.usage = part.usage ?? answer.usage;
    answer.timings = part.timings ?? answer.timings;
    const texts = [];
    for (const choice of part.choices) {
      answer.finish_reason = choice.finish_reason ?? answer.finish_reason;
      const message = body.stream ? choice.delta : choice.message;
      texts.push(message.content, ...(message.tool_calls ?? []).map((call) => call.function.arguments));
    }
    const text = texts.join("");
    if (text) {
      answer.texts.push(text);
      answer.seen_at.push(now());
    }
    if (answer.texts.length === leave_after) {
      answer.left = true;
      leave.abort();
      break;
    }
  }
  return answer;
}

const asked = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(await Promise.all(asked.map(send))));
