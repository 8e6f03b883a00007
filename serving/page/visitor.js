// Who this tab is to Ouzel, and what was done in it.

import { recall, remember } from "/page/memory.js";

const DEEDS = { view: "viewed", add_to_cart: "in your cart", purchase: "bought" };

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

export function noteDeed(itemId, eventType) {
  const { [itemId]: before, ...others } = recall("deeds", {});
  if (eventType === "remove_from_cart") remember("deeds", before === "add_to_cart" ? { ...others, [itemId]: "view" } : recall("deeds", {}));
  // To look at it again undoes nothing.
  else remember("deeds", { ...others, [itemId]: eventType === "view" ? (before ?? eventType) : eventType });
}

/** What was done last with an item, in a word or two; null for nothing. */
export function deed(itemId) {
  const done = recall("deeds", {});
  return Object.hasOwn(done, itemId) ? DEEDS[done[itemId]] : null;
}

export function forgetDeeds() {
  remember("deeds", {});
}
