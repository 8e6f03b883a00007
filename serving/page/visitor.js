// Stores the id of this visitor (each browser tab has its own) and their last action on each item.

import { recall, remember } from "/page/memory.js";

const KEY = "deeds";
const WORDS = { view: "viewed", add_to_cart: "in your cart", purchase: "bought" };

/** @returns {string} */
export function visitorId() {
  let id = recall("visitor");
  if (id === null) {
    const bytes = crypto.getRandomValues(new Uint8Array(5));
    id = `visitor-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
    remember("visitor", id);
  }
  return id;
}

export function recordAction(itemId, eventType) {
  const { [itemId]: before, ...others } = recall(KEY, {});
  if (eventType === "remove_from_cart") remember(KEY, before === "add_to_cart" ? { ...others, [itemId]: "view" } : recall(KEY, {}));
  // A view does not replace "in your cart" or "bought".
  else remember(KEY, { ...others, [itemId]: eventType === "view" ? (before ?? eventType) : eventType });
}

/** What the visitor did last with an item, in a word or two; null if nothing. */
export function lastAction(itemId) {
  const actions = recall(KEY, {});
  return Object.hasOwn(actions, itemId) ? WORDS[actions[itemId]] : null;
}

export function forgetActions() {
  remember(KEY, {});
}
