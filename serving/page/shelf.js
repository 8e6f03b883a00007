// The shop's shelf: products by category, a page at a time. Without a catalogue, what is popular, by id.

import { ask } from "/page/api.js";
import { price } from "/page/catalogue.js";
import { html } from "/page/element.js";
import { tile } from "/page/tile.js";
import { deed } from "/page/visitor.js";

const PAGE = 24;
const LOOK_AGAIN_MS = 1500;

export class Shelf {
  #category = null;
  #names = "";
  #shown = 0;
  #turn = 0;
  #marks = new Map();

  /** @param {Record<string, HTMLElement>} parts `act(itemId, eventType)` is called for each click */
  constructor(parts, catalogue, act) {
    this.parts = parts;
    this.catalogue = catalogue;
    this.act = act;
    parts.more.addEventListener("click", () => this.#more());
    this.#wait();
  }

  /** Fill it, again and again until there is something. */
  async open() {
    const turn = ++this.#turn;
    while (turn === this.#turn) {
      try {
        if ((await this.#fill(turn)) > 0) return;
        if (turn === this.#turn) this.#say("The shelves are empty so far: neither items nor events have come.");
      } catch {
        if (turn === this.#turn) this.#say("The shelves cannot be read now. Trying again.");
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }

  /** Show what was done with an item. */
  mark(itemId) {
    const mark = this.#marks.get(itemId);
    if (mark !== undefined) mark.textContent = deed(itemId) ?? "";
  }

  /** After everything was forgotten. */
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
    this.#tell(answer.total);
    if (items.length && answer.total === 0) this.#say("No catalogue here, so these are the ids of what is popular.");
    return items.length;
  }

  async #more() {
    const turn = this.#turn;
    const before = this.#shown;
    let answer;
    try {
      answer = await ask(`/v1/items?${this.#query(before)}`);
    } catch {
      if (turn === this.#turn) this.#say("No more could be read now. Try again.");
      return;
    }
    if (turn !== this.#turn) return;
    this.catalogue.keep(answer.items);
    const products = answer.items.map((item) => this.#product(item));
    this.parts.products.append(...products);
    this.#shown += products.length;
    this.#tell(answer.total);
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

  #tell(total) {
    this.parts.more.hidden = this.#shown >= total;
    this.#say(total > 0 ? `${this.#shown.toLocaleString()} of ${total.toLocaleString()} shown. A click on a product is a view.` : "");
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
          name ?? "Everything",
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
    const mark = html("span", { class: "mark" }, deed(item.item_id) ?? "");
    this.#marks.set(item.item_id, mark);
    const about = [item.categories[0], price(item)].filter(Boolean).join(" · ");
    const does = (eventType) => () => this.act(item.item_id, eventType);
    return html(
      "li",
      { class: "product", "data-item": item.item_id, "data-category": item.categories[0] ?? "" },
      html("button", { type: "button", class: "product-view", click: does("view") },
        html("span", { class: "product-art" }, tile(item), mark),
        html("span", { class: "product-name" }, name),
        about ? html("span", { class: "product-about" }, about) : null),
      html("div", { class: "product-acts" },
        html("button", { type: "button", "aria-label": `Add to cart: ${name}`, click: does("add_to_cart") }, "Add to cart"),
        html("button", { type: "button", class: "buy", "aria-label": `Buy: ${name}`, click: does("purchase") }, "Buy")),
    );
  }
}
