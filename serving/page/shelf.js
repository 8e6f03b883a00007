// Shows the products by category, one page at a time. If there is no catalogue, it shows the ids of
// popular items.

import { ask } from "/page/api.js";
import { price } from "/page/catalogue.js";
import { html } from "/page/element.js";
import { title } from "/page/marks.js";
import { tile } from "/page/tile.js";
import { lastAction } from "/page/visitor.js";

const PAGE = 24;
const RETRY_MS = 1500;

export class Shelf {
  #category = null;
  #names = "";
  #shown = 0;
  #turn = 0;
  #marks = new Map();

  /**
   * `act(itemId, eventType)` is called for each click.
   * @param {Record<string, HTMLElement>} parts
   */
  constructor(parts, catalogue, act) {
    this.parts = parts;
    this.catalogue = catalogue;
    this.act = act;
    parts.more.addEventListener("click", () => this.#more());
    this.#wait();
  }

  /** Load the first page, and retry until there are products. */
  async open() {
    const turn = ++this.#turn;
    while (turn === this.#turn) {
      try {
        if ((await this.#fill(turn)) > 0) return;
        if (turn === this.#turn) this.#say("No products yet.");
      } catch {
        if (turn === this.#turn) this.#say("Products could not be loaded. Retrying...");
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Show on an item what the visitor did with it last. */
  mark(itemId) {
    const mark = this.#marks.get(itemId);
    if (mark !== undefined) mark.textContent = lastAction(itemId) ?? "";
  }

  /** Remove all marks, after the visitor was deleted. */
  unmark() {
    for (const mark of this.#marks.values()) mark.textContent = "";
  }

  async #fill(turn) {
    const answer = await ask(`/v1/items?${this.#query(0)}`);
    if (turn !== this.#turn) return 1;
    this.#categories(answer.categories);
    const items = answer.total > 0 ? answer.items : await this.#popular();
    if (turn !== this.#turn) return 1;
    this.catalogue.keep(answer.items);
    this.#marks.clear();
    this.parts.products.replaceChildren(...items.map((item) => this.#product(item)));
    this.#shown = items.length;
    this.#showCount(answer.total);
    if (items.length && answer.total === 0) this.#say("There is no catalogue. These are the ids of popular items.");
    return items.length;
  }

  async #more() {
    const turn = this.#turn;
    const before = this.#shown;
    let answer;
    try {
      answer = await ask(`/v1/items?${this.#query(before)}`);
    } catch {
      if (turn === this.#turn) this.#say("More products could not be loaded. Try again.");
      return;
    }
    if (turn !== this.#turn) return;
    this.catalogue.keep(answer.items);
    const products = answer.items.map((item) => this.#product(item));
    this.parts.products.append(...products);
    this.#shown += products.length;
    this.#showCount(answer.total);
    products[0]?.querySelector("button").focus({ preventScroll: true });
  }

  #query(offset) {
    const query = new URLSearchParams({ limit: String(PAGE), offset: String(offset) });
    if (this.#category !== null) query.set("category", this.#category);
    return query;
  }

  async #popular() {
    const { items } = await ask(`/v1/popular?k=${PAGE * 2}`);
    return items.map((item) => this.catalogue.get(item.item_id));
  }

  #showCount(total) {
    this.parts.more.hidden = this.#shown >= total;
    this.#say(total > 0 ? `Showing ${this.#shown.toLocaleString()} of ${total.toLocaleString()}. A click on a product counts as a view.` : "");
  }

  #say(words) {
    this.parts.hint.textContent = words;
  }

  #wait() {
    this.parts.products.replaceChildren(...Array.from({ length: 8 }, () => html("li", { class: "product waiting", "aria-hidden": "true" })));
  }

  #categories(categories) {
    const names = JSON.stringify(categories);
    if (names === this.#names) return;
    this.#names = names;
    const all = categories.length ? [{ name: null, items: null }, ...categories] : [];
    this.parts.categories.hidden = all.length === 0;
    this.parts.categories.replaceChildren(
      ...all.map(({ name, items }) =>
        html(
          "button",
          { type: "button", class: "chip", "aria-pressed": String(name === this.#category), click: (event) => this.#choose(name, event.currentTarget) },
          name ?? "All",
          items === null ? null : html("span", { class: "chip-count" }, items.toLocaleString()),
        ),
      ),
    );
  }

  #choose(name, button) {
    this.#category = name;
    for (const other of this.parts.categories.children) other.setAttribute("aria-pressed", String(other === button));
    this.open();
  }

  #product(item) {
    const name = this.catalogue.nameOf(item.item_id);
    const mark = html("span", { class: "mark" }, lastAction(item.item_id) ?? "");
    this.#marks.set(item.item_id, mark);
    const category = item.categories[0] ? title(item.categories[0]) : null;
    const about = [category, category && price(item) ? " · " : null, price(item)];
    const send = (eventType) => () => this.act(item.item_id, eventType);
    return html(
      "li",
      { class: "product", "data-item": item.item_id, "data-category": item.categories[0] ?? "" },
      html("button", { type: "button", class: "product-view", click: send("view") },
        html("span", { class: "product-art" }, tile(item), mark),
        html("span", { class: "product-name" }, this.catalogue.shown(item.item_id)),
        about.some(Boolean) ? html("span", { class: "product-about" }, ...about) : null),
      html("div", { class: "product-acts" },
        html("button", { type: "button", "aria-label": `Add to cart: ${name}`, click: send("add_to_cart") }, "Add to cart"),
        html("button", { type: "button", class: "buy", "aria-label": `Buy: ${name}`, click: send("purchase") }, "Buy")),
    );
  }
}
