// Polls GET /v1/live once a second while the page is visible, and keeps the last minutes for the
// charts.

import { ask } from "/page/api.js";
import { Cell } from "/page/cell.js";

const EVERY_MS = 1000;
const KEPT = 180;

export class Figures {
  /** The latest answer, null before the first. */
  latest = new Cell(null);
  /**
   * Why the latest request failed, null if it succeeded.
   * @type {Cell<import("/page/api.js").Problem|null>}
   */
  trouble = new Cell(null);
  /** The answers of the last minutes, the newest last. @type {any[]} */
  past = [];

  async run() {
    for (;;) {
      if (!document.hidden) await this.#ask();
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }

  async #ask() {
    let live;
    try {
      live = await ask("/v1/live");
    } catch (problem) {
      this.trouble.set(problem);
      return;
    }
    this.past = [...this.past, live].slice(-KEPT);
    this.trouble.set(null);
    this.latest.set(live);
  }

  /**
   * The values of one figure over time. A value is null if its answer lacks the figure.
   * @param {(live: any) => number|null|undefined} pick
   */
  series(pick) {
    return this.past.map((live) => pick(live) ?? null);
  }
}
