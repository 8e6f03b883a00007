// Reasons in words. Their codes are those of models/experts/reasons.py, and of the fallbacks of serving/state/selection.py.

const OF_AN_ITEM = {
  __proto__: null,
  markov: "often next",
  rules: "often soon after",
  cooccurrence: "often together",
  repeat: "once more",
};
const BECAUSE = {
  viewed: ["because you viewed", "because you viewed it before"],
  "in your cart": ["because of your cart:", "because it is in your cart"],
  bought: ["because you bought", "because you bought it before"],
};
const OF_NONE = {
  __proto__: null,
  gru: ["fits your whole session", "sequence model"],
  recency: ["fits your last clicks", "sequence model"],
  popularity: ["popular right now", "trending"],
  catalogue: ["new on the shelf", "not yet seen"],
};

/**
 * @typedef {{before: string, name: string, kind: string}} Reason a sentence's beginning, the item that it names, and what sort it is
 * @param {{reason: string, because_item_id?: string}} item
 * @param {(itemId: string) => string} nameOf
 * @param {(itemId: string) => string|null} deedOf
 * @returns {Reason}
 */
export function inWords(item, nameOf, deedOf) {
  const because = item.because_item_id;
  if (because !== undefined) {
    const again = item.reason === "repeat";
    const before = BECAUSE[deedOf(because) ?? "viewed"][again ? 1 : 0];
    return { before, name: again ? "" : nameOf(because), kind: OF_AN_ITEM[item.reason] ?? item.reason };
  }
  const [before, kind] = OF_NONE[item.reason] ?? ["by the model", item.reason];
  return { before, name: "", kind };
}

const STRATEGIES = {
  __proto__: null,
  hybrid: "By the hybrid of experts and a neural net",
  popularity: "What is popular, for nothing is known of you",
  experts: "By the experts alone",
};

/** How a ranking came about, as the beginning of a sentence. */
export function strategyInWords(strategy) {
  return STRATEGIES[strategy] ?? `By ${strategy}`;
}
