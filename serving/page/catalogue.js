// Caches names, categories and prices of items. The page shows the id of an item that is not in the
// catalogue.

import { ask } from "/page/api.js";
import { id, spelled, title } from "/page/marks.js";

const BATCH = 40;
const RETRY_AFTER_MS = 30_000;

/**
 * @typedef {{item_id: string, item_name: string|null, categories: string[], brand: string|null,
 *   price: number|null, currency: string|null}} Item
 */

export class Catalogue {
  #items = new Map();
  #requested = new Map();

  /** Store items that came with an answer. @param {Item[]} items */
  keep(items) {
    for (const item of items) this.#items.set(item.item_id, item);
  }

  /** @returns {Item} the cached item; only its id if the cache lacks it */
  get(itemId) {
    return this.#items.get(itemId) ?? { item_id: itemId, item_name: null, categories: [], brand: null, price: null, currency: null };
  }

  /** The title of an item, or its id, as text for labels. */
  nameOf(itemId) {
    return this.get(itemId).item_name ?? `Item ${spelled(itemId)}`;
  }

  /** The same as an element. */
  shown(itemId) {
    const name = this.get(itemId).item_name ?? null;
    return name === null ? id(itemId, "Item ") : title(name);
  }

  /** Load the items that the cache lacks. Returns whether any arrived. @param {string[]} ids */
  async load(ids) {
    const now = Date.now();
    const missing = [...new Set(ids)].filter((id) => !this.#items.has(id) && now - (this.#requested.get(id) ?? 0) > RETRY_AFTER_MS);
    let loaded = false;
    for (let from = 0; from < missing.length; from += BATCH) {
      const batch = missing.slice(from, from + BATCH);
      for (const id of batch) this.#requested.set(id, now);
      const query = new URLSearchParams(batch.map((id) => ["id", id]));
      const { items } = await ask(`/v1/items?${query}`);
      this.keep(items);
      loaded ||= items.length > 0;
    }
    return loaded;
  }
}

/** A price formatted for the visitor's locale; "" if the item has none. */
export function price(item) {
  if (item.price === null || item.price === undefined) return "";
  if (!item.currency) return item.price.toFixed(2);
  try {
    return new Intl.NumberFormat(undefined, { style: "currency", currency: item.currency }).format(item.price);
  } catch {
    return `${item.price.toFixed(2)} ${item.currency}`;
  }
}
