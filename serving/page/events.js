// Sends what the visitor does. An event gets its id before the first attempt, so it counts once
// even if it is sent several times.

import { ask } from "/page/api.js";

const WAIT_MS = 1000;
const MAX_ATTEMPTS = 6;
const FIRST_RETRY_MS = 400;
const LONGEST_RETRY_MS = 5000;

/** A new event id. */
export function newEventId() {
  return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
}

/**
 * Send an event and wait up to a second for the ranking that it triggers.
 * @param {{user_id: string, item_id: string, event_type: string, event_id: string,
 *   recommendation_id?: string}} event
 * @param {() => void} onRetry called before each further attempt
 * @returns {Promise<any>} the answer of POST /v1/events
 * @throws {import("/page/api.js").Problem} if the event was rejected, or after the last attempt
 */
export async function send(event, onRetry) {
  let wait = FIRST_RETRY_MS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask(`/v1/events?wait_ms=${WAIT_MS}`, { method: "POST", body: event });
    } catch (problem) {
      if (!problem.isTemporary || attempt === MAX_ATTEMPTS) throw problem;
      onRetry();
      await new Promise((resolve) => setTimeout(resolve, problem.retryAfterMs ?? wait));
      wait = Math.min(wait * 2, LONGEST_RETRY_MS);
    }
  }
}
