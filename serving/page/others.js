// Shows other visitors: what they view, and what is recommended to them. It shows hashes in place
// of their ids.

import { html, svg } from "/page/element.js";
import { id as idOf } from "/page/marks.js";
import { follow } from "/page/stream.js";
import { hash, tile } from "/page/tile.js";

const ROWS = 14;
const EVERY_MS = 900;
const CHIPS = 4;

export class Others {
  #stop = null;
  #paused = false;
  #last = 0;

  /** @param {Record<string, HTMLElement>} parts */
  constructor(parts, catalogue) {
    this.parts = parts;
    this.catalogue = catalogue;
    parts.pause.addEventListener("click", () => {
      this.#paused = !this.#paused;
      parts.pause.textContent = this.#paused ? "Resume" : "Pause";
      parts.pause.setAttribute("aria-pressed", String(this.#paused));
    });
  }

  /**
   * Follow the stream only while the tab is visible, because a browser limits its connections to
   * one server.
   */
  watch(visible) {
    if (visible && this.#stop === null) {
      this.#stop = follow("/v1/live/stream", (name, data) => name === "ranking" && this.#take(data));
    } else if (!visible && this.#stop !== null) {
      this.#stop();
      this.#stop = null;
    }
  }

  async #take(sample) {
    const now = performance.now();
    if (this.#paused || now - this.#last < EVERY_MS) return;
    this.#last = now;
    const ids = [...sample.prefix.slice(-2), ...sample.items.map((item) => item.item_id)];
    await this.catalogue.load(ids).catch(() => false);
    this.parts.hint.hidden = true;
    this.parts.list.prepend(this.#row(sample));
    while (this.parts.list.childElementCount > ROWS) this.parts.list.lastElementChild.remove();
  }

  #row(sample) {
    const name = (id) => this.catalogue.shown(id);
    const at = sample.prefix.at(-1);
    const before = sample.prefix.at(-2);
    return html(
      "li",
      { class: "visit" },
      face(sample.visitor),
      html("div", { class: "visit-text" },
        html("p", {},
          html("span", { class: "visitor" }, idOf(sample.visitor)), " ",
          at === undefined ? "just arrived" : "views ", at === undefined ? null : html("b", {}, name(at)),
          before === undefined ? null : html("span", { class: "hint" }, " after ", name(before))),
        html("ul", { class: "picks", "aria-label": "Recommended next" },
          ...sample.items.slice(0, CHIPS).map((item) =>
            html("li", {}, html("span", { class: "mini" }, tile(this.catalogue.get(item.item_id))), html("span", { class: "chip-name" }, name(item.item_id)))))),
    );
  }
}

/** A picture for a hash: a pattern of squares that is symmetric left to right. */
function face(visitor) {
  const bits = hash(visitor);
  const squares = [];
  for (let place = 0; place < 15; place += 1) {
    if (!((bits >> place) & 1)) continue;
    const [column, row] = [place % 3, Math.floor(place / 3)];
    for (const x of new Set([column, 4 - column])) squares.push(svg("rect", { x: x + 1, y: row + 1, width: 1.02, height: 1.02 }));
  }
  const hue = Math.round((bits >>> 16) % 360);
  const drawn = svg("svg", { class: "face", viewBox: "0 0 7 7", "aria-hidden": "true" }, ...squares);
  drawn.style.setProperty("--hue", String(hue));
  return drawn;
}
