// The cart is a dialog. Each product that is added, removed or bought sends an event.

import { price } from "/page/catalogue.js";
import { html } from "/page/element.js";
import { recall, remember } from "/page/memory.js";
import { tile } from "/page/tile.js";

export class Cart {
  /**
   * `act(itemId, eventType)` is called to send each event.
   * @param {Record<string, HTMLElement>} parts
   */
  constructor(parts, catalogue, act) {
    this.parts = parts;
    this.catalogue = catalogue;
    this.act = act;
    this.ids = recall("cart", []);
    parts.open.addEventListener("click", () => {
      this.#show();
      parts.dialog.showModal();
    });
    parts.close.addEventListener("click", () => parts.dialog.close());
    parts.buy.addEventListener("click", () => {
      const bought = this.ids;
      this.#keep([]);
      parts.dialog.close();
      for (const itemId of bought) act(itemId, "purchase");
    });
    this.#show();
  }

  add(itemId) {
    if (!this.ids.includes(itemId)) this.#keep([...this.ids, itemId]);
  }

  /** Take an item out, for instance because it was bought. */
  drop(itemId) {
    this.#keep(this.ids.filter((id) => id !== itemId));
  }

  empty() {
    this.#keep([]);
  }

  #keep(ids) {
    this.ids = ids;
    remember("cart", ids);
    this.#show();
  }

  #show() {
    const items = this.ids.map((id) => this.catalogue.get(id));
    this.parts.count.textContent = String(items.length);
    this.parts.lines.replaceChildren(...items.map((item) => this.#line(item)));
    this.parts.empty.hidden = items.length > 0;
    this.parts.buy.disabled = items.length === 0;
    const priced = items.filter((item) => item.price !== null);
    const one = priced.length > 0 && priced.every((item) => item.currency === priced[0].currency);
    this.parts.total.textContent = one ? price({ price: priced.reduce((sum, item) => sum + item.price, 0), currency: priced[0].currency }) : "";
  }

  #line(item) {
    const name = this.catalogue.nameOf(item.item_id);
    const remove = () => {
      this.drop(item.item_id);
      this.act(item.item_id, "remove_from_cart");
      this.parts.close.focus();
    };
    return html(
      "li",
      {},
      html("span", { class: "mini" }, tile(item)),
      html("span", { class: "line-name" }, this.catalogue.shown(item.item_id)),
      html("span", { class: "line-price" }, price(item)),
      html("button", { type: "button", class: "quiet", "aria-label": `Remove: ${name}`, click: remove }, "Remove"),
    );
  }
}
