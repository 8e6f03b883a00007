// Sends what the visitor does. An event has its id before the first try, so that however often it is sent, it happens once.

import { ask } from "/page/api.js";

const WAIT_MS = 1000;
const TRIES = 6;
const FIRST_MS = 400;
const LONGEST_MS = 5000;

/** An id for an event, to be made before it is sent for the first time. */
export function newEventId() {
  return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
}

/**
 * Send an event and wait for the ranking that it brings.
 * @param {{user_id: string, item_id: string, event_type: string, event_id: string, recommendation_id?: string}} event
 * @param {() => void} waiting called when it has to be sent again
 * @returns {Promise<any>} the answer of POST /v1/events
 * @throws {import("/page/api.js").Problem} when it was refused, or after the last try
 */
export async function send(event, waiting) {
  let wait = FIRST_MS;
  for (let tried = 1; ; tried += 1) {
    try {
      return await ask(`/v1/events?wait_ms=${WAIT_MS}`, { method: "POST", body: event });
    } catch (problem) {
      if (!problem.passes || tried === TRIES) throw problem;
      waiting();
      await new Promise((resolve) => setTimeout(resolve, problem.retryAfterMs ?? wait));
      wait = Math.min(wait * 2, LONGEST_MS);
    }
  }
}
