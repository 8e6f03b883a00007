// The strip "For you": one card per item. A card is reused while its item stays, so that it can
// move to its new place and keep the focus.

import { html } from "/page/element.js";
import { play, positions } from "/page/flip.js";
import { movementInWords, movements } from "/page/movement.js";
import { inWords } from "/page/reasons.js";
import { tile } from "/page/tile.js";
import { lastAction } from "/page/visitor.js";

export const SHOWN = 12;

export class Strip {
  #cards = new Map();
  #order = null;

  /** `chosen(itemId)` is called when a card is clicked. */
  constructor(list, catalogue, chosen) {
    this.list = list;
    this.catalogue = catalogue;
    this.chosen = chosen;
    this.wait();
  }

  /** Show grey cards until the first ranking. */
  wait() {
    this.list.replaceChildren(...Array.from({ length: 6 }, () => html("li", { class: "pick waiting", "aria-hidden": "true" })));
    this.#cards.clear();
    this.#order = null;
  }

  /**
   * Show the first items of a ranking, without those of its session. This is synchronous, so that
   * the next frame shows them.
   * @param {{items: any[], prefix: string[]}} ranking
   * @returns {Map<string, number|null>} how many places each item moved, see movement.js
   */
  show({ items, prefix }) {
    const shown = items.filter((item) => !prefix.includes(item.item_id)).slice(0, SHOWN);
    const ids = shown.map((item) => item.item_id);
    const moved = movements(this.#order, ids);
    const focused = this.list.contains(document.activeElement) ? document.activeElement : null;
    const before = positions([...this.#cards.values()].map((card) => card.node));
    const cards = new Map();
    shown.forEach((item, place) => {
      const card = this.#cards.get(item.item_id) ?? this.#card(item.item_id);
      card.rank.textContent = String(place + 1);
      this.#write(card, item, moved.get(item.item_id));
      cards.set(item.item_id, card);
    });
    const first = this.#order === null;
    this.#cards = cards;
    this.#order = ids;
    this.#arrange([...cards.values()].map((card) => card.node));
    this.list.scrollTo({ left: 0 });
    play(first ? new Map() : before, [...cards.values()].map((card) => card.node));
    if (focused !== null) (focused.isConnected ? focused : this.list).focus({ preventScroll: true });
    return moved;
  }

  /** Move only the nodes that are not in their place. */
  #arrange(nodes) {
    nodes.forEach((node, place) => {
      if (this.list.children[place] !== node) this.list.insertBefore(node, this.list.children[place] ?? null);
    });
    while (this.list.childElementCount > nodes.length) this.list.lastElementChild.remove();
  }

  /** Write the names again after the catalogue has loaded some. */
  rename(items) {
    for (const item of items) {
      const card = this.#cards.get(item.item_id);
      if (card !== undefined) this.#write(card, item, undefined);
    }
  }

  #card(itemId) {
    const card = {
      art: html("span", { class: "pick-art" }),
      rank: html("span", { class: "rank" }),
      move: html("span", { class: "move" }),
      name: html("span", { class: "pick-name" }),
      before: html("span"),
      because: html("span", { class: "because" }),
      kind: html("span", { class: "kind" }),
      drawn: null,
    };
    const reason = html("span", { class: "reason" }, card.before, card.because);
    const button = html(
      "button",
      { type: "button", class: "pick-button", click: () => this.chosen(itemId) },
      card.art, card.rank, card.move, card.name, reason, card.kind,
    );
    card.node = html("li", { class: "pick", "data-item": itemId }, button);
    return card;
  }

  #write(card, item, moved) {
    const known = this.catalogue.get(item.item_id);
    const reason = inWords(item, (id) => id, lastAction);
    if (card.drawn !== known) {
      card.art.replaceChildren(tile(known));
      card.drawn = known;
    }
    card.name.replaceChildren(this.catalogue.shown(item.item_id));
    card.before.textContent = reason.before;
    card.because.replaceChildren(...(reason.name ? [" ", this.catalogue.shown(reason.name)] : []));
    card.kind.textContent = reason.kind;
    card.node.dataset.reason = item.reason;
    if (moved === undefined) return;
    const words = movementInWords(moved);
    card.move.textContent = words;
    card.move.dataset.way = moved === null ? "new" : moved > 0 ? "up" : moved < 0 ? "down" : "same";
  }
}
