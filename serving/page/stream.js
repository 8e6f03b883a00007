// Server-sent events by fetch, because EventSource cannot send a key. Comes again after an end, with the last id.

import { authorization, problem } from "/page/api.js";

const FIRST_MS = 1000;
const LONGEST_MS = 10_000;

/**
 * Events of a path, to `take(name, data)`, until `stop` is called.
 * @param {string} path
 * @param {(name: string, data: any) => void} take
 * @returns {() => void} stop
 */
export function follow(path, take) {
  const ending = new AbortController();
  run(path, take, ending.signal);
  return () => ending.abort();
}

async function run(path, take, signal) {
  let last = null;
  let wait = FIRST_MS;
  while (!signal.aborted) {
    try {
      const headers = { ...authorization(), accept: "text/event-stream" };
      if (last !== null) headers["last-event-id"] = last;
      const answer = await fetch(path, { headers, signal });
      if (!answer.ok) throw await problem(answer);
      wait = FIRST_MS;
      for await (const event of events(answer.body)) {
        if (event.id) last = event.id;
        take(event.name, JSON.parse(event.data));
      }
    } catch {
      if (signal.aborted) return;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, LONGEST_MS);
  }
}

/** Events as the WHATWG's HTML has them (9.2.6), as far as Ouzel writes them: one line of data each. */
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

/** @param {string} block lines of one event */
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
