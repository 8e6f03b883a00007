// Reasons in words. The codes come from models/experts/reasons.py, and from the fallbacks in
// serving/state/selection.py.

import { spelled } from "/page/marks.js";

const KINDS = {
  __proto__: null,
  markov: "viewed next",
  rules: "viewed soon after",
  cooccurrence: "viewed together",
  repeat: "viewed before",
};
const BECAUSE = {
  viewed: ["because you viewed", "because you viewed it before"],
  "in your cart": ["because of your cart:", "because it is in your cart"],
  bought: ["because you bought", "because you bought it before"],
};
const WITHOUT_ITEM = {
  __proto__: null,
  gru: ["fits your whole session", "sequence model"],
  recency: ["fits your latest clicks", "sequence model"],
  popularity: ["popular right now", "trending"],
  catalogue: ["new in the shop", "no clicks yet"],
};

/**
 * Describe why an item is recommended: `before` starts the sentence, `name` is the item that it
 * names, and `kind` is a short label.
 * @typedef {{before: string, name: string, kind: string}} Reason
 * @param {{reason: string, because_item_id?: string}} item
 * @param {(itemId: string) => string} nameOf
 * @param {(itemId: string) => string|null} actionOf
 * @returns {Reason}
 */
export function inWords(item, nameOf, actionOf) {
  const because = item.because_item_id;
  if (because !== undefined) {
    const again = item.reason === "repeat";
    const before = BECAUSE[actionOf(because) ?? "viewed"][again ? 1 : 0];
    return { before, name: again ? "" : nameOf(because), kind: KINDS[item.reason] ?? spelled(item.reason) };
  }
  const [before, kind] = WITHOUT_ITEM[item.reason] ?? ["recommended by the model", spelled(item.reason)];
  return { before, name: "", kind };
}

const STRATEGIES = {
  __proto__: null,
  hybrid: "Ranked by the hybrid model",
  popularity: "Showing popular items: we know nothing about you yet",
  experts: "Ranked by the experts only",
};

/** Which strategy made a ranking, as a sentence without its full stop. */
export function strategyInWords(strategy) {
  return STRATEGIES[strategy] ?? `Ranked by ${spelled(strategy)}`;
}
