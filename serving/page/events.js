// Sends what the visitor does. An event gets its id before the first attempt, so it counts once
// even if it is sent several times.

import { ask } from "/page/api.js";

const WAIT_MS = 1000;

/** A new event id. */
export function newEventId() {
  return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
}

/**
 * Send an event once, and wait up to a second for the ranking that it triggers.
 * @param {{user_id: string, item_id: string, event_type: string, event_id: string,
 *   recommendation_id?: string}} event
 * @returns {Promise<any>} the answer of POST /v1/events
 * @throws {import("/page/api.js").Problem}
 */
export function post(event) {
  return ask(`/v1/events?wait_ms=${WAIT_MS}`, { method: "POST", body: event });
}
