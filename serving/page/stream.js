// Reads server-sent events by fetch, because EventSource cannot send an API key. It reconnects when
// the stream ends, and sends the last event id.

import { authorization, problem } from "/page/api.js";

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10_000;

/**
 * Pass the events of a path to `take(name, data)` until the returned function is called.
 * @param {string} path
 * @param {(name: string, data: any) => void} take
 * @returns {() => void} stops it
 */
export function follow(path, take) {
  const ending = new AbortController();
  run(path, take, ending.signal);
  return () => ending.abort();
}

async function run(path, take, signal) {
  let last = null;
  let wait = FIRST_RETRY_MS;
  while (!signal.aborted) {
    try {
      const headers = { ...authorization(), accept: "text/event-stream" };
      if (last !== null) headers["last-event-id"] = last;
      const answer = await fetch(path, { headers, signal });
      if (!answer.ok) throw await problem(answer);
      wait = FIRST_RETRY_MS;
      for await (const event of events(answer.body)) {
        if (event.id) last = event.id;
        take(event.name, JSON.parse(event.data));
      }
    } catch {
      if (signal.aborted) return;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, LONGEST_RETRY_MS);
  }
}

/**
 * Events in the format of WHATWG HTML 9.2.6, limited to what Ouzel writes: one line of data per
 * event.
 */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = parse(block);
      if (event.data) yield event;
    }
  }
}

/** @param {string} block the lines of one event */
export function parse(block) {
  const event = { name: "message", id: "", data: "" };
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at <= 0) continue;
    const value = line.slice(at + 1).replace(/^ /, "");
    if (line.startsWith("event:")) event.name = value;
    else if (line.startsWith("id:")) event.id = value;
    else if (line.startsWith("data:")) event.data += value;
  }
  return event;
}
