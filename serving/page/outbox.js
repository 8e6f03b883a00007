// Sends the events of this tab, and never loses one: what cannot be sent now is stored in the tab, in
// order, and sent again until Ouzel answers. An event counts once, however often it is sent.

import { recall, remember } from "/page/memory.js";

const KEY = "unsent";
const FIRST_RETRY_MS = 400;
const LONGEST_RETRY_MS = 5000;

export class Outbox {
  /** Events that were not confirmed, the oldest first, each with what to call. @type {any[]} */
  #waiting = [];
  #isRetrying = false;

  /** @param {(event: any) => Promise<any>} post sends one event, or throws a Problem */
  constructor(post) {
    this.post = post;
  }

  /** The events that an earlier load of the page could not send. Call `send` with each, in order. */
  left() {
    return recall(KEY, []);
  }

  /**
   * Send an event: at once, or after the earlier ones that wait. `onSaved` is called if it has to
   * wait.
   * @returns {Promise<any>} the answer
   * @throws {import("/page/api.js").Problem} if the event was rejected
   */
  async send(event, onSaved) {
    const isLeft = recall(KEY, []).some((one) => one.event_id === event.event_id);
    this.#store(event);
    if (!this.#isRetrying && !isLeft) {
      try {
        return this.#done(event, await this.post(event));
      } catch (problem) {
        if (!problem.isTemporary) return this.#failed(event, problem);
      }
    }
    if (!isLeft) onSaved();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, resolve, reject });
      this.#retry();
    });
  }

  /** Forget the events that wait, for instance because the visitor is to be deleted. */
  clear() {
    for (const { resolve } of this.#waiting) resolve({ recommendation: null });
    this.#waiting = [];
    remember(KEY, []);
  }

  async #retry() {
    if (this.#isRetrying) return;
    this.#isRetrying = true;
    let wait = FIRST_RETRY_MS;
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0];
      try {
        first.resolve(this.#done(first.event, await this.post(first.event)));
        wait = FIRST_RETRY_MS;
      } catch (problem) {
        if (problem.isTemporary) {
          await new Promise((resolve) => setTimeout(resolve, Math.min(problem.retryAfterMs ?? wait, LONGEST_RETRY_MS)));
          wait = Math.min(wait * 2, LONGEST_RETRY_MS);
          continue;
        }
        first.reject(problem);
        this.#forget(first.event);
      }
      this.#waiting = this.#waiting.filter((one) => one !== first);
    }
    this.#isRetrying = false;
  }

  #store(event) {
    const stored = recall(KEY, []);
    if (!stored.some((one) => one.event_id === event.event_id)) remember(KEY, [...stored, event]);
  }

  #done(event, answer) {
    this.#forget(event);
    return answer;
  }

  #failed(event, problem) {
    this.#forget(event);
    throw problem;
  }

  #forget(event) {
    remember(KEY, recall(KEY, []).filter((one) => one.event_id !== event.event_id));
  }
}
