// Reasons in words. Their codes are those of models/reasons.py, and of the fallbacks of serving/selection.py.

const OF_AN_ITEM = {
  markov: "often next",
  rules: "often soon after",
  cooccurrence: "often together",
  repeat: "once more",
};
const OF_NONE = {
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
  if (item.reason === "repeat" && because !== undefined) {
    return { before: `because you ${deedOf(because) ?? "viewed"} it before`, name: "", kind: OF_AN_ITEM.repeat };
  }
  if (because !== undefined) {
    const done = deedOf(because) ?? "viewed";
    const kind = OF_AN_ITEM[item.reason] ?? item.reason;
    return done === "put in your cart"
      ? { before: "because in your cart is", name: nameOf(because), kind }
      : { before: `because you ${done}`, name: nameOf(because), kind };
  }
  const [before, kind] = OF_NONE[item.reason] ?? ["by the model", item.reason];
  return { before, name: "", kind };
}

const STRATEGIES = {
  hybrid: "hybrid of experts and a GRU",
  popularity: "popularity, for whom nothing is known of",
  experts: "experts alone",
};

/** A strategy's name for people. */
export function strategyInWords(strategy) {
  return STRATEGIES[strategy] ?? strategy;
}
