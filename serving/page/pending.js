// The clicks whose ranking has not arrived yet, and the row that says how long the latest one waits.

import { duration, mood } from "/page/numbers.js";

const SHOWN_AFTER_MS = 150;
const EVERY_MS = 100;
/** Where the name of the item belongs in a sentence. */
const PLACE = "\0";

/**
 * A click that waits for its ranking: the time in epoch ms, the item, and whether Kafka has it.
 * @typedef {{clicked: number, itemId: string, isStored: boolean}} Click
 */

export class Pending {
  /** By event id, the oldest first. @type {Map<string, Click>} */
  #clicks = new Map();
  #state = "starting";
  #timer = 0;

  /**
   * @param {HTMLElement} row the row
   * @param {HTMLElement} other what is shown while no click waits
   * @param {(itemId: string) => Node} shown the name of an item
   * @param {() => number} now epoch ms
   */
  constructor(row, other, shown, now) {
    Object.assign(this, { row, other, shown, now });
  }

  /** A click was made, or is sent again after the page was loaded anew. */
  add(eventId, itemId) {
    this.#clicks.set(eventId, { clicked: this.now(), itemId, isStored: false });
    this.#timer ||= setInterval(() => this.show(), EVERY_MS);
  }

  /** Kafka has the event. */
  stored(eventId) {
    const click = this.#clicks.get(eventId);
    if (click !== undefined) click.isStored = true;
  }

  /**
   * The ranking of this event has arrived; it replaces those of earlier ones. Returns the time of
   * the click, or null if it was not made on this page.
   */
  ranked(eventId) {
    const clicked = this.#clicks.get(eventId)?.clicked ?? null;
    if (clicked === null) return null;
    for (const id of [...this.#clicks.keys()]) {
      this.#clicks.delete(id);
      if (id === eventId) break;
    }
    this.show();
    return clicked;
  }

  /** The event was rejected. */
  drop(eventId) {
    this.#clicks.delete(eventId);
    this.show();
  }

  clear() {
    this.#clicks.clear();
    this.show();
  }

  /** @param {string} state as in connection.js */
  connection(state) {
    this.#state = state;
    this.show();
  }

  show() {
    const latest = [...this.#clicks.values()].at(-1);
    const waited = latest === undefined ? 0 : this.now() - latest.clicked;
    this.row.hidden = latest === undefined || waited < SHOWN_AFTER_MS;
    this.other.hidden = !this.row.hidden;
    if (latest === undefined) {
      clearInterval(this.#timer);
      this.#timer = 0;
    }
    if (this.row.hidden) return;
    this.row.dataset.mood = mood(waited);
    const [before, after] = inWords(PLACE, waited, latest.isStored, this.#state).split(PLACE);
    this.row.replaceChildren(before, this.shown(latest.itemId), after);
  }
}

/** Say what becomes of a click: it is ranked, it is on Kafka, or it is still to be sent. */
export function inWords(name, waitedMs, isStored, state) {
  const waited = waitedMs < 1000 ? duration(Math.floor(waitedMs / 100) * 100) : waitedMs < 60_000 ? `${Math.floor(waitedMs / 1000)} s` : duration(waitedMs);
  if (!isStored && (state === "offline" || state === "away")) return `${name}: your click is saved and will be sent. ${waited}`;
  if (state === "down" && isStored) return `${name}: your click is in Kafka and will be ranked when a worker is back. ${waited}`;
  return `Ranking after ${name}... ${waited}`;
}
